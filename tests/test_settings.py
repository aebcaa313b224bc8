"""Settings: read from keywords and environment, or refused with one clear sentence."""

import pytest

from fastapi_diagnostics.settings import (
    ConfigurationError,
    declarations,
    find_project_root,
    in_production,
    read_settings,
)


def test_everything_has_a_default() -> None:
    settings = read_settings({}, {})

    assert settings.path == "/_diagnostics"
    assert settings.block_threshold_ms == 50.0
    assert settings.enabled


def test_the_environment_sets_what_no_keyword_sets() -> None:
    environ = {
        "FASTAPI_DIAGNOSTICS_BLOCK_THRESHOLD_MS": "20",
        "FASTAPI_DIAGNOSTICS_IGNORE": "SQL105, LOOP",
        "FASTAPI_DIAGNOSTICS_HEADERS": "off",
    }

    settings = read_settings({}, environ)

    assert settings.block_threshold_ms == 20.0
    assert settings.ignore == ("SQL105", "LOOP")
    assert settings.headers is False


def test_a_keyword_wins_over_the_environment() -> None:
    settings = read_settings({"path": "/here"}, {"FASTAPI_DIAGNOSTICS_PATH": "/there"})

    assert settings.path == "/here"


def test_the_switch_turns_everything_off() -> None:
    assert read_settings({}, {"FASTAPI_DIAGNOSTICS": "0"}).enabled is False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pth": "/x"}, ["setting pth is unknown", "did you mean path?"]),
        ({"path": "diagnostics"}, ["setting path", "'diagnostics'", 'begins with "/"']),
        ({"path": "/"}, ["setting path", "'/'"]),
        ({"store_url": "postgresql://me:pw@host/db"}, ["setting store_url", "not supported yet"]),
        ({"store_url": "nonsense"}, ["setting store_url", "'nonsense'", "memory:"]),
        ({"block_threshold_ms": "fast"}, ["setting block_threshold_ms", "'fast'", "milliseconds"]),
        ({"block_threshold_ms": 0}, ["setting block_threshold_ms", "0"]),
        ({"block_threshold_ms": True}, ["setting block_threshold_ms", "True"]),
        ({"max_requests": -1}, ["setting max_requests", "-1", "whole number"]),
        ({"project_root": "/no/such/folder"}, ["setting project_root", "existing folder"]),
        ({"headers": "perhaps"}, ["setting headers", "'perhaps'", "true or false"]),
        ({"path": "/a/../b"}, ["setting path", "'/a/../b'", "letters"]),
        ({"path": "/a\nb"}, ["setting path", "letters"]),
        ({"path": "/é"}, ["setting path", "letters"]),
        ({"store_url": "sqlite:///"}, ["setting store_url", "sqlite:///<file>"]),
        ({"store_url": "sqlite:///x.db?mode=ro"}, ["setting store_url", "sqlite:///<file>"]),
        ({"max_requests": 2.7}, ["setting max_requests", "2.7", "whole number"]),
        ({"ignore": {"SQL105": True}}, ["setting ignore", "duplicate-query"]),
        ({"editor": "vim"}, ["setting editor", "'vim'", "vscode", "{file}"]),
        ({"editor": "javascript:{file}"}, ["setting editor"]),
        ({"allowed_hosts": ["*"]}, ["setting allowed_hosts", "wildcard"]),
        ({"allowed_hosts": "http://dev.local"}, ["setting allowed_hosts", "scheme"]),
    ],
)
def test_a_wrong_setting_is_one_sentence_with_its_name_value_and_what_is_allowed(
    options, words
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_settings(options, {})

    assert [word for word in words if word not in str(raised.value)] == []


def test_a_wrong_variable_is_named_as_the_user_wrote_it() -> None:
    with pytest.raises(ConfigurationError, match="environment variable FASTAPI_DIAGNOSTICS_PTH"):
        read_settings({}, {"FASTAPI_DIAGNOSTICS_PTH": "/x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", "/a/b.c/~d-e"),
        ("editor", "VSCode"),
        ("editor", "vim://open?file={file}"),
        ("store_url", "sqlite:///:memory:"),
    ],
)
def test_what_is_allowed_is_taken_as_it_is(name, value) -> None:
    assert getattr(read_settings({name: value}, {}), name) == value


def test_hosts_may_have_a_port_or_be_an_address() -> None:
    settings = read_settings({"allowed_hosts": "dev.local:8000, 192.168.0.2, [fe80::1]"}, {})

    assert settings.allowed_hosts == ("dev.local:8000", "192.168.0.2", "[fe80::1]")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:sesame@host/db",
        "me:sesame@nonsense",
        "sqlite:///x.db?mode=ro&key=sesame",
    ],
)
def test_errors_do_not_repeat_a_password_or_a_token(url) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_settings({"store_url": url}, {})
    with pytest.raises(ConfigurationError) as token:
        read_settings({"token": "sesame"}, {})

    assert "sesame" not in str(raised.value)
    assert "sesame" not in str(token.value)


def test_tests_and_ci_keep_nothing_and_say_nothing_unless_told() -> None:
    quiet = read_settings({}, {"PYTEST_VERSION": "9"})
    told = read_settings({"log": True, "store_url": "sqlite:///x.db"}, {"PYTEST_VERSION": "9"})

    assert (quiet.store_url, quiet.banner, quiet.log) == ("memory:", False, False)
    assert (told.store_url, told.banner, told.log) == ("sqlite:///x.db", False, True)


def test_production_is_what_the_environment_calls_so() -> None:
    assert in_production({"APP_ENV": "Production"})
    assert not in_production({"APP_ENV": "development"})


def test_the_project_root_is_the_nearest_folder_with_a_project(tmp_path) -> None:
    inner = tmp_path / "project" / "src" / "deep"
    inner.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()

    assert find_project_root(inner) == tmp_path / "project"


def test_every_setting_has_words() -> None:
    assert [name for name, setting in declarations().items() if len(setting.doc) < 20] == []
