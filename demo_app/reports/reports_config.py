"""Settings of reports."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class ReportsSettings(BaseSettings):
    """Read from `BOOKSHOP_REPORTS_*`.

    Attributes:
        low_stock: With fewer copies than this a book is printed again.
    """

    model_config = SettingsConfigDict(env_prefix="BOOKSHOP_REPORTS_")

    low_stock: int = 5


reports_settings = ReportsSettings()
