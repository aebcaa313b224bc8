"""Login and accounts."""

import hmac
from collections.abc import Sequence
from hashlib import pbkdf2_hmac

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from demo_app.errors import AppException
from demo_app.users.models import User
from demo_app.users.schemas import Login, Token
from demo_app.users.security import issue_token
from demo_app.users.users_config import users_settings

rounds = users_settings.password_iterations


async def list_users(db: AsyncSession) -> Sequence[User]:
    """Fetch all accounts."""
    return (await db.scalars(select(User).order_by(User.id))).all()


async def login(db: AsyncSession, login: Login) -> Token:
    """Check a password; hashing takes its time, and nobody else is served meanwhile."""
    user_id, expected = await _credentials(db, login.user_name)
    password, salt = login.password.encode(), login.user_name.encode()
    given = pbkdf2_hmac("sha256", password, salt, rounds)  # defect: LOOP101 password-hash
    return _token(user_id, expected, given)


async def login_v2(db: AsyncSession, login: Login) -> Token:
    """Mended: hashes in a worker thread."""
    user_id, expected = await _credentials(db, login.user_name)
    password, salt = login.password.encode(), login.user_name.encode()
    given = await run_in_threadpool(pbkdf2_hmac, "sha256", password, salt, rounds)
    return _token(user_id, expected, given)


async def _credentials(db: AsyncSession, user_name: str) -> tuple[int | None, bytes]:
    query = select(User.id, User.password_hash).where(User.user_name == user_name)
    row = (await db.execute(query)).first()
    await db.commit()  # hashing is slow: give the connection back before it
    return (row.id, row.password_hash) if row else (None, b"")


def _token(user_id: int | None, expected: bytes, given: bytes) -> Token:
    if user_id is None or not hmac.compare_digest(expected, given):
        raise AppException(401, "Wrong name or password.", "bad_credentials")
    return Token(access_token=issue_token(user_id))
