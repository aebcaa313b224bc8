"""What the user routes take and answer."""

from pydantic import BaseModel, ConfigDict


class Login(BaseModel):
    """Name and password."""

    user_name: str
    password: str


class Token(BaseModel):
    """What a client sends along from now on."""

    access_token: str
    token_type: str = "bearer"


class UserOut(BaseModel):
    """An account; its password stays here."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    user_name: str
    email: str
    is_admin: bool
