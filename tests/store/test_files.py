"""Which files are made, and which are left alone."""

import os
import sqlite3
import stat

import pytest

from fastapi_diagnostics.store import StoreUrlError, check_store_url
from fastapi_diagnostics.store.schema import APPLICATION_ID, SCHEMA_VERSION
from tests.builders import a_finding, a_report


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def own(tmp_path):
    return tmp_path / ".fastapi_diagnostics" / "diagnostics.db"


def assert_in_memory(store, *words):
    store.save([a_report(a_finding())])
    status = store.status()
    assert status.kind == "memory"
    assert status.errors == 0
    assert status.where == ""
    for word in words:
        assert word in status.problem
    assert store.request("r1") is not None


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def closed_umask():
    before = os.umask(0o777)
    yield
    os.umask(before)


@pytest.mark.parametrize("umask", ["open_umask", "closed_umask"])
def test_the_default_file_is_private_whatever_the_umask(open_at, tmp_path, request, umask):
    request.getfixturevalue(umask)
    store = open_at()
    store.save([a_report()])

    file = own(tmp_path)
    beside = [file, file.with_name("diagnostics.db-wal"), file.with_name("diagnostics.db-shm")]
    assert [mode(path) for path in beside] == [0o600] * 3
    assert mode(file.parent) == 0o700
    assert (file.parent / ".gitignore").read_text() == "*\n"
    assert sorted(path.name for path in file.parent.iterdir()) == [
        ".gitignore",
        "diagnostics.db",
        "diagnostics.db-shm",
        "diagnostics.db-wal",
    ]


def test_the_status_says_where_it_is(open_at, tmp_path):
    status = open_at().status()

    assert (status.kind, status.problem) == ("sqlite", "")
    assert status.where == str(own(tmp_path))
    assert status.wanted == "sqlite:///.fastapi_diagnostics/diagnostics.db"


def test_memory_makes_no_file(open_at, tmp_path):
    store = open_at("memory:")
    store.save([a_report()])

    assert list(tmp_path.iterdir()) == []
    assert (store.status().kind, store.status().problem) == ("memory", "")
    assert store.status().max_bytes == 32 * 1024 * 1024


def test_what_was_kept_is_there_when_opened_again(open_at):
    first = open_at()
    first.save([a_report(a_finding())])
    first.close()

    second = open_at()

    assert second.request("r1") is not None
    assert second.save([a_report(a_finding(), id="r2")]) == frozenset()
    assert second.finding("f1").occurrences == 2


def test_a_file_of_ours_with_a_wide_mode_is_narrowed(open_at, tmp_path):
    open_at().close()
    own(tmp_path).chmod(0o644)
    own(tmp_path).parent.chmod(0o755)

    open_at()

    assert mode(own(tmp_path)) == 0o600
    assert mode(own(tmp_path).parent) == 0o700


def test_absolute_and_relative_urls_name_files(open_at, tmp_path):
    (tmp_path / "sub").mkdir()

    relative = open_at("sqlite:///sub/a.db")
    absolute = open_at(f"sqlite:///{tmp_path}/b.db")

    assert relative.status().where == str(tmp_path / "sub" / "a.db")
    assert absolute.status().where == str(tmp_path / "b.db")
    assert (tmp_path / "sub" / "a.db").exists()
    assert (tmp_path / "b.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@host/db",
        "postgresql+asyncpg://me:sec@ret@host/db?password=secret",
        "postgres://me:secret@host/db",
        "mysql://me:secret@host/db",
        "sqlite+aiosqlite:///me:secret@x.db",
        "sqlite:///x.db?mode=ro&key=secret",
        "me:secret@nonsense",
    ],
)
def test_other_urls_are_refused_without_their_secrets(open_at, tmp_path, url):
    with pytest.raises(StoreUrlError) as raised:
        open_at(url)
    with pytest.raises(StoreUrlError):
        check_store_url(url)

    message = str(raised.value)
    assert "store_url" in message
    assert "not yet" in message
    assert "memory:" in message
    assert "sec" not in message
    assert list(tmp_path.iterdir()) == []


def text_file(path):
    path.write_bytes(b"my diary\n" * 100)


def foreign_database(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE records (id)")
    connection.commit()
    connection.close()


def newer_store(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE records (id)")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("make", [text_file, foreign_database, newer_store])
@pytest.mark.parametrize("url", [None, "sqlite:///.fastapi_diagnostics/diagnostics.db"])
def test_a_file_that_is_not_ours_is_left_byte_for_byte(open_at, tmp_path, make, url):
    own(tmp_path).parent.mkdir(0o700)
    make(own(tmp_path))
    before = (own(tmp_path).read_bytes(), own(tmp_path).stat().st_mtime_ns)

    store = open_at(url)

    assert_in_memory(store, "diagnostics.db", "left alone")
    assert (own(tmp_path).read_bytes(), own(tmp_path).stat().st_mtime_ns) == before
    assert {path.name for path in own(tmp_path).parent.iterdir()} <= {
        ".gitignore",
        "diagnostics.db",
    }


def test_an_empty_file_is_used(open_at, tmp_path):
    (tmp_path / "kept.db").touch()

    assert open_at("sqlite:///kept.db").status().kind == "sqlite"


def test_a_link_in_place_of_the_file_is_refused(open_at, tmp_path):
    own(tmp_path).parent.mkdir(0o700)
    target = tmp_path / "target"
    own(tmp_path).symlink_to(target)

    assert_in_memory(open_at(), "symbolic link")
    assert not target.exists()


def test_a_link_in_place_of_the_folder_is_refused(open_at, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    own(tmp_path).parent.symlink_to(tmp_path / "elsewhere")

    assert_in_memory(open_at(), "symbolic link")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused(open_at, tmp_path):
    own(tmp_path).parent.write_text("mine")

    assert_in_memory(open_at(), "not a folder")
    assert own(tmp_path).parent.read_text() == "mine"


def test_a_folder_in_place_of_the_file_is_refused(open_at, tmp_path):
    own(tmp_path).mkdir(parents=True)

    assert_in_memory(open_at(), "not a regular file")


def test_a_missing_folder_is_not_made_up(open_at, tmp_path):
    assert_in_memory(open_at("sqlite:///nowhere/kept.db"), "does not exist")
    assert_in_memory(open_at(directory=tmp_path / "gone"), "gone")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_everybody_may_write_to_is_refused(open_at, tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)

    assert_in_memory(open_at("sqlite:///open/kept.db"), "Every user")
    assert_in_memory(open_at(directory=tmp_path / "open"), "Every user")

    (tmp_path / "open").chmod(0o1777)  # as /tmp is
    assert open_at("sqlite:///open/kept.db").status().kind == "sqlite"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to give away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_belongs_to_another_user_is_refused(open_at, tmp_path, what):
    open_at().close()
    os.chown(own(tmp_path) if what == "file" else own(tmp_path).parent, 12345, -1)

    assert_in_memory(open_at(), "another user")
