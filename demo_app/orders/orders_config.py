"""Settings of orders."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class OrdersSettings(BaseSettings):
    """Read from `BOOKSHOP_ORDERS_*`.

    Attributes:
        default_carrier: Who delivers unless the customer says otherwise.
    """

    model_config = SettingsConfigDict(env_prefix="BOOKSHOP_ORDERS_")

    default_carrier: str = "post"


orders_settings = OrdersSettings()
