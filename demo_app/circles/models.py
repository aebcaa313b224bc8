"""Tables of circles, as first written."""

from sqlmodel import Field, Relationship

from demo_app.database import Base


class Circle(Base, table=True):
    """People who read the same book."""

    id: int | None = Field(default=None, primary_key=True)
    name: str

    meetings: list["Meeting"] = Relationship(  # defect: APP108 meetings-for-everyone
        back_populates="circle", sa_relationship_kwargs={"lazy": "selectin"}
    )


class Meeting(Base, table=True):
    """When a circle meets."""

    id: int | None = Field(default=None, primary_key=True)
    place: str
    circle_id: int = Field(foreign_key="circle.id", index=True)

    circle: Circle = Relationship(back_populates="meetings")
