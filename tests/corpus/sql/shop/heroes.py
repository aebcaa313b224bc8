"""Tables made with SQLModel."""

from sqlalchemy.orm import registry
from sqlmodel import Field, Relationship, SQLModel


class HeroBase(SQLModel, registry=registry()):
    """Keeps its tables apart from those of other tests."""


class Team(HeroBase, table=True):
    __tablename__ = "team"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    heroes: list["Hero"] = Relationship(back_populates="team")


class Hero(HeroBase, table=True):
    __tablename__ = "hero"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    team_id: int | None = Field(default=None, foreign_key="team.id")
    team: Team | None = Relationship(back_populates="heroes")


class HeroOut(SQLModel):
    id: int
    name: str
    team_id: int


class TeamOut(SQLModel):
    id: int
    name: str
    heroes: list[HeroOut]
