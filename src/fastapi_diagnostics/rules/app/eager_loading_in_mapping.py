"""APP108: a mapping that makes every query load a relationship."""

from collections.abc import Iterator

from fastapi_diagnostics.app_record import AppRecord, EagerMapping
from fastapi_diagnostics.finding import Finding, Fix, Rule

RULE = Rule(
    code="APP108",
    name="eager-loading-in-mapping",
    family="app",
    severity="info",
    title="The mapping loads a relationship with every query",
    what=(
        'Finds relationships that are mapped with lazy="selectin", "joined", "subquery" or '
        '"immediate".'
    ),
    why=(
        "Every query for the class then loads the relationship as well, also where nobody reads "
        "it, and chains of such mappings load half the database for one row. It is not an N+1: "
        "selectin and subquery cost one statement for all parents together, joined a wider one."
    ),
    example='class Author(Base):\n    books: Mapped[list["Book"]] = relationship(lazy="selectin")',
    instead=(
        'class Author(Base):\n    books: Mapped[list["Book"]] = relationship(lazy="raise")\n\n\n'
        "authors = await session.scalars(select(Author).options(selectinload(Author.books)))"
    ),
    limits=(
        "Where nearly every use of the class needs the relationship, this is the right mapping.",
        "Mappings of backref and of relationships added to a class later are not looked at.",
    ),
    subjects=("application",),
)

_COSTS = {
    "selectin": "one more statement (one for all parents, so it is not an N+1)",
    "subquery": "one more statement, which runs the query again (it is not an N+1)",
    "joined": "a join, and its columns in every row (no more statements, so it is not an N+1)",
    "immediate": "one more statement for each parent",
}
_OPTIONS = {
    "selectin": "selectinload",
    "subquery": "subqueryload",
    "joined": "joinedload",
    "immediate": "selectinload",
}


def check(record: AppRecord) -> Iterator[Finding]:
    """Yield one finding for each such relationship."""
    for mapping in record.eager_mappings:
        yield _finding(mapping)


def _finding(mapping: EagerMapping) -> Finding:
    owner = mapping.attribute.partition(".")[0]
    return RULE.finding(
        f'{mapping.attribute} is mapped with lazy="{mapping.lazy}": every query that loads {owner} '
        f"pays for it with {_COSTS[mapping.lazy]}, whether or not anybody reads it.",
        location=mapping.location,
        fix=Fix(
            summary=(
                "If only some queries need it, leave the mapping at its default (or "
                'lazy="raise") and ask for it where it is needed.'
            ),
            code=(f"select({owner}).options({_OPTIONS[mapping.lazy]}({mapping.attribute}))"),
        ),
        evidence={"attribute": mapping.attribute, "lazy": mapping.lazy},
        cause=mapping.attribute,
    )
