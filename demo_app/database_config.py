"""Settings of the database."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """Read from `BOOKSHOP_DATABASE_*`.

    Attributes:
        file: The SQLite file; `None` means a temporary one that is gone when the process ends.
        echo: Whether SQLAlchemy prints every statement.
    """

    model_config = SettingsConfigDict(env_prefix="BOOKSHOP_DATABASE_")

    file: Path | None = None
    echo: bool = False


database_settings = DatabaseSettings()
