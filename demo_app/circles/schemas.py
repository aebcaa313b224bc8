"""What the routes of circles take and answer, as written in the days of pydantic 1."""

import warnings

from pydantic import BaseModel, validator
from pydantic.warnings import PydanticDeprecatedSince20

# As Python does by default: it warns of these while this module is imported, and nobody sees it.
warnings.filterwarnings("ignore", category=PydanticDeprecatedSince20)


class CircleIn(BaseModel):
    """A new circle."""

    name: str
    motto: str = None  # defect: APP103 no-motto

    class Config:  # defect: APP102 class-config
        str_strip_whitespace = True

    @validator("name")  # defect: APP102 validator
    def not_empty(cls, name: str) -> str:
        """Refuse a circle without a name."""
        if not name:
            raise ValueError("a circle needs a name")
        return name


class CircleOut(BaseModel):
    """A circle."""

    id: int
    name: str
