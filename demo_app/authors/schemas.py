"""What the author routes take and answer."""

from pydantic import BaseModel, ConfigDict

from demo_app.books.schemas import BookOut


class AuthorOut(BaseModel):
    """An author on its own."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    email: str


class AuthorWithBooks(AuthorOut):
    """An author with everything they wrote."""

    books: list[BookOut]


class Bibliography(BaseModel):
    """An author's name and titles."""

    name: str
    titles: list[str]


class AuthorRename(BaseModel):
    """A new name."""

    name: str
