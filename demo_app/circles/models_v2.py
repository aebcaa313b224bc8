"""Tables of circles, mended: meetings are loaded by the queries that need them."""

from sqlmodel import Field, Relationship

from demo_app.database import Base


class CircleV2(Base, table=True):
    """People who read the same book."""

    id: int | None = Field(default=None, primary_key=True)
    name: str

    meetings: list["MeetingV2"] = Relationship(back_populates="circle")


class MeetingV2(Base, table=True):
    """When a circle meets."""

    id: int | None = Field(default=None, primary_key=True)
    place: str
    circle_id: int = Field(foreign_key="circlev2.id", index=True)

    circle: CircleV2 = Relationship(back_populates="meetings")
