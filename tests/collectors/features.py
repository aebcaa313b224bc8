"""What people do with SQLAlchemy's ORM: each a function of a session with a plain result."""

import pickle
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ForeignKey,
    bindparam,
    func,
    insert,
    inspect,
    lambda_stmt,
    select,
    text,
    update,
)
from sqlalchemy.exc import InvalidRequestError, NoResultFound
from sqlalchemy.orm import (
    Bundle,
    DeclarativeBase,
    Mapped,
    Session,
    WriteOnlyMapped,
    aliased,
    contains_eager,
    defer,
    immediateload,
    joinedload,
    load_only,
    mapped_column,
    raiseload,
    relationship,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    undefer,
    with_polymorphic,
)

Feature = Callable[[Session], Any]
FEATURES: dict[str, Feature] = {}


class Base(DeclarativeBase):
    pass


class Firm(Base):
    __tablename__ = "f_firm"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    about: Mapped[str] = mapped_column(deferred=True)
    people: Mapped[list["Person"]] = relationship(back_populates="firm", order_by="Person.id")
    visits: WriteOnlyMapped["Visit"] = relationship(order_by="Visit.id")


class Person(Base):
    __tablename__ = "f_person"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    firm_id: Mapped[int] = mapped_column(ForeignKey("f_firm.id"))
    firm: Mapped[Firm] = relationship(back_populates="people")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012


class Manager(Person):
    __tablename__ = "f_manager"
    id: Mapped[int] = mapped_column(ForeignKey("f_person.id"), primary_key=True)
    budget: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "manager"}  # noqa: RUF012


class Engineer(Person):
    language: Mapped[str | None]
    __mapper_args__ = {"polymorphic_identity": "engineer"}  # noqa: RUF012


class Visit(Base):
    __tablename__ = "f_visit"
    id: Mapped[int] = mapped_column(primary_key=True)
    firm_id: Mapped[int | None] = mapped_column(ForeignKey("f_firm.id"))


def fill(session: Session) -> None:
    """Add three firms with four people and five visits each."""
    for n in (1, 2, 3):
        people: list[Person] = [
            Person(id=n * 10 + 1, name=f"p{n}"),
            Manager(id=n * 10 + 2, name=f"m{n}", budget=n * 100),
            Engineer(id=n * 10 + 3, name=f"e{n}", language="py"),
            Manager(id=n * 10 + 4, name=f"n{n}", budget=n * 200),
        ]
        firm = Firm(id=n, name=f"f{n}", about=f"about {n}", people=people)
        session.add(firm)
        session.flush()
        session.add_all(Visit(id=n * 10 + k, firm_id=n) for k in range(5))
    session.commit()


def feature(function: Feature) -> Feature:
    FEATURES[function.__name__] = function
    return function


def firms(*options: Any) -> Any:
    return select(Firm).options(*options).order_by(Firm.id)


def told(person: Person) -> tuple[Any, ...]:
    return (
        type(person).__name__,
        person.id,
        getattr(person, "budget", None),
        getattr(person, "language", None),
    )


@feature
def polymorphic_load(session: Session) -> Any:
    return [told(person) for person in session.scalars(select(Person).order_by(Person.id))]


@feature
def polymorphic_load_of_all_at_once(session: Session) -> Any:
    every = with_polymorphic(Person, "*")
    return [told(person) for person in session.scalars(select(every).order_by(every.id))]


@feature
def polymorphic_load_in_batches(session: Session) -> Any:
    query = select(Person).options(selectin_polymorphic(Person, [Manager])).order_by(Person.id)
    return [told(person) for person in session.scalars(query)]


@feature
def subclass_of_a_joined_table(session: Session) -> Any:
    found = session.scalars(select(Manager).where(Manager.budget > 100).order_by(Manager.id))
    return [(manager.name, manager.firm.name) for manager in found]


@feature
def write_only_relationship(session: Session) -> Any:
    firm = session.get_one(Firm, 1)
    firm.visits.add(Visit(id=500))
    firm.visits.add_all([Visit(id=501), Visit(id=502)])
    session.flush()
    before = session.scalars(firm.visits.select()).all()
    firm.visits.remove(before[0])
    session.execute(firm.visits.delete().where(Visit.id > 501))
    session.flush()
    return [visit.id for visit in before], session.scalars(
        firm.visits.select()
    ).unique().all() != []


@feature
def lambda_statement(session: Session) -> Any:
    found = []
    for number in (1, 2, 3):
        query = lambda_stmt(lambda: select(Firm))
        query += lambda s: s.where(Firm.id == number)  # noqa: B023 - tracked by its value
        found.append(session.scalars(query).one().name)
    return found


@feature
def yield_per(session: Session) -> Any:
    result = session.execute(select(Visit.id).order_by(Visit.id).execution_options(yield_per=4))
    return [[row.id for row in part] for part in result.partitions()]


@feature
def yield_per_of_a_result(session: Session) -> Any:
    result = session.scalars(select(Visit).order_by(Visit.id)).yield_per(3)
    return [visit.id for visit in result]


@feature
def yield_per_with_a_batch_of_children(session: Session) -> Any:
    query = firms(selectinload(Firm.people)).execution_options(yield_per=2)
    return [(firm.id, len(firm.people)) for firm in session.scalars(query)]


@feature
def server_side_cursor(session: Session) -> Any:
    query = select(Visit.id).order_by(Visit.id)
    result = session.execute(query, execution_options={"stream_results": True, "max_row_buffer": 2})
    first = result.fetchone()
    return first, result.fetchmany(3), result.fetchall()


@feature
def server_side_cursor_left_early(session: Session) -> Any:
    query = select(Visit.id).order_by(Visit.id).execution_options(stream_results=True)
    with session.execute(query) as result:
        first = result.first()
    return first, session.scalar(select(func.count(Visit.id)))


@feature
def two_entity_rows(session: Session) -> Any:
    query = select(Firm, Person).join(Firm.people).order_by(Firm.id, Person.id)
    rows = session.execute(query).all()
    return [(firm.name, person.name, person.firm is firm) for firm, person in rows]


@feature
def rows_of_entities_and_columns(session: Session) -> Any:
    named = Bundle("named", Firm.id, Firm.name)
    query = select(Firm, named, Firm.name.label("label")).order_by(Firm.id)
    return [(row.Firm.id, tuple(row.named), row.label) for row in session.execute(query)]


@feature
def identity_map_hits(session: Session) -> Any:
    firm = session.get_one(Firm, 2)
    same = session.scalars(select(Firm).where(Firm.id == 2)).one()
    person = session.get_one(Person, 21)
    return (
        firm is same,
        session.get(Firm, 2) is firm,
        person.firm is firm,
        len(session.identity_map),
    )


@feature
def savepoints(session: Session) -> Any:
    session.add(Visit(id=600, firm_id=1))
    with session.begin_nested():
        session.add(Visit(id=601, firm_id=1))
    inner = session.begin_nested()
    session.add(Visit(id=602, firm_id=1))
    session.flush()
    inner.rollback()
    return session.scalars(select(Visit.id).where(Visit.id >= 600).order_by(Visit.id)).all()


@feature
def savepoint_behind_an_error(session: Session) -> Any:
    try:
        with session.begin_nested():
            session.execute(insert(Visit), [{"id": 10, "firm_id": 1}])
    except Exception as error:  # noqa: BLE001 - each driver has its own
        failed = type(error).__name__
    return failed, session.scalar(select(func.count(Visit.id)))


@feature
def eager_loads_of_every_kind(session: Session) -> Any:
    found = []
    for option in (joinedload, selectinload, subqueryload, immediateload):
        session.expunge_all()
        loaded = session.scalars(firms(option(Firm.people))).unique().all()
        found.append([[person.name for person in firm.people] for firm in loaded])
    joined = select(Firm).join(Firm.people).options(contains_eager(Firm.people))
    session.expunge_all()
    loaded = session.scalars(joined.where(Person.kind == "manager").order_by(Firm.id)).unique()
    return found, [len(firm.people) for firm in loaded]


@feature
def what_is_not_loaded_stays_so(session: Session) -> Any:
    firm = session.scalars(firms(load_only(Firm.name))).first()
    before = sorted(inspect(firm).unloaded)
    about = firm.about
    return before, about, sorted(inspect(firm).unloaded)


@feature
def columns_that_wait(session: Session) -> Any:
    early = session.scalars(firms(undefer(Firm.about))).all()
    session.expunge_all()
    late = session.scalars(firms(defer(Firm.name))).all()
    return [firm.about for firm in early], [firm.name for firm in late]


@feature
def a_forbidden_load(session: Session) -> Any:
    firm = session.scalars(firms(raiseload(Firm.people))).first()
    try:
        return len(firm.people)
    except InvalidRequestError as error:
        return str(error)


@feature
def a_result_without_rows(session: Session) -> Any:
    try:
        return session.scalars(select(Firm).where(Firm.id == 99)).one()
    except NoResultFound as error:
        return str(error)


@feature
def insert_many_and_return(session: Session) -> Any:
    rows = [{"id": 700 + n, "firm_id": 1} for n in range(5)]
    made = session.scalars(insert(Visit).returning(Visit.id, sort_by_parameter_order=True), rows)
    return list(made)


@feature
def update_with_synchronised_objects(session: Session) -> Any:
    firm = session.get_one(Firm, 3)
    session.execute(update(Firm).where(Firm.id == 3).values(name="new"))
    session.execute(update(Firm), [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}])
    return firm.name, [firm.name for firm in session.scalars(firms())]


@feature
def refresh_expire_and_merge(session: Session) -> Any:
    firm = session.get_one(Firm, 1)
    session.refresh(firm)
    session.expire(firm, ["name"])
    merged = session.merge(Firm(id=1, name="merged", about="x"))
    session.flush()
    return merged is firm, firm.name, firm.about


@feature
def every_way_to_fetch(session: Session) -> Any:
    def result() -> Any:
        return session.execute(select(Firm.id, Firm.name).order_by(Firm.id))

    frozen = result().freeze()
    return (
        result().mappings().all(),
        result().columns("name").all(),
        result().scalars().fetchmany(2),
        result().partitions(2).__next__(),
        [row._asdict() for row in result()],
        frozen().all() == frozen().all(),
        result().keys().__class__.__name__,
    )


@feature
def core_in_the_same_transaction(session: Session) -> Any:
    connection = session.connection()
    named = text("SELECT name FROM f_firm WHERE id = :id").bindparams(bindparam("id"))
    plain = connection.exec_driver_sql("SELECT id FROM f_firm ORDER BY id").fetchall()
    return connection.execute(named, {"id": 2}).scalar_one(), [tuple(row) for row in plain]


@feature
def aliases_and_exists(session: Session) -> Any:
    boss = aliased(Manager)
    query = select(Firm.name, boss.name).join(Firm.people.of_type(boss)).order_by(boss.id)
    rich = select(Firm.id).where(Firm.people.of_type(Manager).any(Manager.budget > 300))
    return session.execute(query).all(), session.scalars(rich.order_by(Firm.id)).all()


@feature
def pickled_objects(session: Session) -> Any:
    firm = session.scalars(firms(selectinload(Firm.people))).first()
    copy = pickle.loads(pickle.dumps(firm))  # noqa: S301 - our own
    return copy.name, [person.name for person in copy.people], inspect(copy).detached


@feature
def a_query_once_compiled(session: Session) -> Any:
    return [session.scalar(select(Firm.name).where(Firm.id == number)) for number in (1, 2, 3, 1)]
