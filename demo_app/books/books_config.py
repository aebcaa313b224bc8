"""Settings of books."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class BooksSettings(BaseSettings):
    """Read from `BOOKSHOP_BOOKS_*`.

    Attributes:
        page_size: Books on one page of a list.
        warehouse_pause_s: The warehouse wants its callers to wait this long between two calls.
    """

    model_config = SettingsConfigDict(env_prefix="BOOKSHOP_BOOKS_")

    page_size: int = 20
    warehouse_pause_s: float = 0.12


books_settings = BooksSettings()
