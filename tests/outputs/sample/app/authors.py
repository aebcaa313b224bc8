"""User code for snippets; never imported."""

router = APIRouter(prefix="/authors")


@router.get("/")
async def list_authors(session: Session, limit: int = 20) -> list[AuthorOut]:
    authors = await session.scalars(select(Author).limit(limit))
    summaries = []
    for author in authors:
        titles = [book.title for book in author.books]
        summaries.append({"name": author.name, "titles": titles})
    return summaries


@router.post("/{author_id}/report")
async def build_report(author_id: int) -> Report:
    report = await collect(author_id)
    password = bcrypt.hashpw(report.secret.encode(), bcrypt.gensalt(12))
    return Report(id=report.id, digest=password)  # diagnostics: ignore[RES104] wanted


@router.get("/profile")
async def profile(user: User) -> ProfileOut:
    """The profile."""
    extra = {"theme": user.theme}
    return {
        "name": user.name,
        "emial": user.email,
    }


# ruff: noqa: F821, F841 - only read, never run
