"""Passwords and signed tokens."""

import hashlib
import hmac

from demo_app.users.users_config import users_settings


def hash_password(user_name: str, password: str) -> bytes:
    """Hash a password; slow on purpose. The name serves as salt, which is enough for a demo."""
    rounds = users_settings.password_iterations
    return hashlib.pbkdf2_hmac("sha256", password.encode(), user_name.encode(), rounds)


def issue_token(user_id: int) -> str:
    """Sign a user's id."""
    return f"{user_id}.{_signature(user_id)}"


def read_token(token: str) -> int | None:
    """Tell whose token this is; `None` if nobody signed it."""
    user_id, _, signature = token.partition(".")
    if user_id.isdecimal() and hmac.compare_digest(signature, _signature(int(user_id))):
        return int(user_id)
    return None


def _signature(user_id: int) -> str:
    key = users_settings.token_key.get_secret_value().encode()
    return hmac.new(key, str(user_id).encode(), hashlib.sha256).hexdigest()
