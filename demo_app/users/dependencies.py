"""Who is asking: `get_current_user`, then `require_auth`, then `require_admin`."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from demo_app.database import Db
from demo_app.errors import AppException
from demo_app.users.models import User
from demo_app.users.security import read_token

_bearer = HTTPBearer(auto_error=False)


async def get_current_user(
    db: Db, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> User | None:
    """Find the account that the token was made for."""
    user_id = read_token(credentials.credentials) if credentials else None
    return None if user_id is None else await db.get(User, user_id)


async def require_auth(user: Annotated[User | None, Depends(get_current_user)]) -> User:
    """Let only staff in."""
    if user is None:
        raise AppException(401, "Please log in.", "not_authenticated")
    return user


async def require_admin(user: Annotated[User, Depends(require_auth)]) -> User:
    """Let only administrators in."""
    if not user.is_admin:
        raise AppException(403, "Administrators only.", "not_admin")
    return user


Staff = Annotated[User, Depends(require_auth)]
Admin = Annotated[User, Depends(require_admin)]
