"""The same with SQLModel."""

from fastapi import APIRouter
from sqlalchemy.orm import selectinload
from sqlmodel import select

from tests.corpus.sql.shop.database import HeroDb
from tests.corpus.sql.shop.heroes import Hero, Team, TeamOut

router = APIRouter()


# situation: sqlmodel-loop
@router.get("/sqlmodel-loop")
def sqlmodel_loop(session: HeroDb) -> dict[str, list[str]]:
    result = {}
    for team in session.exec(select(Team).order_by(Team.id)).all():
        result[team.name] = [hero.name for hero in team.heroes]  # expect: SQL101 Team.heroes
    return result


# situation: sqlmodel-loop-loaded (clean, like SQL101, mends sqlmodel-loop)
@router.get("/sqlmodel-loop-loaded")
def sqlmodel_loop_loaded(session: HeroDb) -> dict[str, list[str]]:
    query = select(Team).options(selectinload(Team.heroes)).order_by(Team.id)
    return {team.name: [hero.name for hero in team.heroes] for team in session.exec(query)}


# situation: sqlmodel-response
@router.get("/sqlmodel-response", response_model=list[TeamOut])
def sqlmodel_response(session: HeroDb):
    return session.exec(select(Team).order_by(Team.id)).all()  # expect: SQL101 Team.heroes


# situation: sqlmodel-many-to-one
@router.get("/sqlmodel-many-to-one")
def sqlmodel_many_to_one(session: HeroDb) -> list[str]:
    heroes = session.exec(select(Hero).order_by(Hero.id)).all()
    return [f"{hero.name} of {hero.team.name}" for hero in heroes]  # expect: SQL101 Hero.team


# situation: sqlmodel-get-in-loop
@router.get("/sqlmodel-get-in-loop")
def sqlmodel_get_in_loop(session: HeroDb) -> list[str]:
    heroes = session.exec(select(Hero).order_by(Hero.id)).all()
    return [session.get(Team, hero.team_id).name for hero in heroes]  # expect: SQL103


# situation: sqlmodel-get-at-once (clean, like SQL103, mends sqlmodel-get-in-loop)
@router.get("/sqlmodel-get-at-once")
def sqlmodel_get_at_once(session: HeroDb) -> list[str]:
    heroes = session.exec(select(Hero).order_by(Hero.id)).all()
    keys = {hero.team_id for hero in heroes}
    teams = {team.id: team for team in session.exec(select(Team).where(Team.id.in_(keys)))}
    return [teams[hero.team_id].name for hero in heroes]


# situation: sqlmodel-with-model (clean, like SQL101)
@router.get("/sqlmodel-with-model", response_model=list[Hero])
def sqlmodel_with_model(session: HeroDb):
    return session.exec(select(Hero)).all()


# situation: sqlmodel-joined-rows (clean, like SQL101)
@router.get("/sqlmodel-joined-rows")
def sqlmodel_joined_rows(session: HeroDb) -> list[str]:
    rows = session.exec(select(Hero, Team).join(Team)).all()
    return [f"{hero.name} of {team.name}" for hero, team in rows]


# situation: sqlmodel-add-per-row
@router.post("/sqlmodel-add-per-row")
def sqlmodel_add_per_row(session: HeroDb) -> int:
    for number in range(6):
        session.add(Hero(name=f"new {number}", team_id=1))
        session.commit()  # expect: SQL104
    return 6
