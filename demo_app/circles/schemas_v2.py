"""What the routes of circles take and answer, mended."""

from pydantic import BaseModel, ConfigDict, field_validator


class CircleInV2(BaseModel):
    """A new circle."""

    model_config = ConfigDict(str_strip_whitespace=True)

    name: str
    motto: str | None = None

    @field_validator("name")
    @classmethod
    def not_empty_v2(cls, name: str) -> str:
        """Refuse a circle without a name (mended)."""
        if not name:
            raise ValueError("a circle needs a name")
        return name
