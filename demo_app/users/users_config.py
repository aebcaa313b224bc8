"""Settings of users."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class UsersSettings(BaseSettings):
    """Read from `BOOKSHOP_USERS_*`.

    Attributes:
        token_key: Signs the tokens; this one is for the demo only.
        password_iterations: Rounds of PBKDF2-HMAC-SHA256; OWASP recommends 600,000 (2023).
    """

    model_config = SettingsConfigDict(env_prefix="BOOKSHOP_USERS_")

    token_key: SecretStr = SecretStr("demo-only")
    password_iterations: int = 600_000


users_settings = UsersSettings()
