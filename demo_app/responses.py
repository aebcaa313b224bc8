"""The envelope around every answer."""

from typing import Generic, TypeVar

from pydantic import BaseModel

T = TypeVar("T")


class ApiResponse(BaseModel, Generic[T]):
    """What every successful answer looks like."""

    success: bool = True
    message: str | None = None
    data: T
