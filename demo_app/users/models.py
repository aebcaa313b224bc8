"""Table of staff accounts."""

from sqlmodel import Field

from demo_app.database import Base


class User(Base, table=True):
    """Someone who works here."""

    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    user_name: str = Field(index=True, unique=True)
    email: str
    password_hash: bytes
    is_admin: bool = False
