"""What the report routes answer."""

from pydantic import BaseModel


class BookMargin(BaseModel):
    """A price, and nothing of what we earn by it."""

    title: str
    price_cents: int


class BookMarginV2(BookMargin):
    """Mended: declares the margin."""

    margin: float


class Supplier(BaseModel):
    """Who wrote it."""

    name: str


class SupplierV2(Supplier):
    """Mended: declares where to reach them."""

    email: str


class LowStockItem(BaseModel):
    """A book that should be printed again."""

    title: str
    stock: int
    author: Supplier


class LowStockItemV2(BaseModel):
    """Mended: with the author's address."""

    title: str
    stock: int
    author: SupplierV2


class LowStock(BaseModel):
    """The books that run out."""

    items: list[LowStockItem]


class LowStockV2(BaseModel):
    """Mended: with the author's address."""

    items: list[LowStockItemV2]
