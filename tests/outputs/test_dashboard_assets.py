import hashlib
import re
from itertools import pairwise

import pytest

from fastapi_diagnostics.outputs.dashboard.assets import dashboard_dir, static_files

TEMPLATES = sorted((dashboard_dir() / "templates").glob("*.html"))
STATIC = dashboard_dir() / "static"
TEXT_ON = [
    ("ink", "paper"), ("ink", "panel"), ("ink", "sunken"), ("ink", "error-wash"),
    ("ink", "good-wash"), ("ink", "accent-wash"), ("soft", "paper"), ("soft", "panel"),
    ("soft", "sunken"), ("soft", "accent-wash"), ("accent", "paper"), ("accent", "panel"),
    ("accent", "sunken"), ("accent", "accent-wash"), ("on-accent", "accent"), ("error", "paper"),
    ("error", "panel"), ("error", "error-wash"), ("warning", "paper"), ("warning", "panel"),
    ("info", "panel"), ("good", "paper"), ("code-keyword", "panel"), ("code-keyword", "error-wash"),
    ("code-string", "panel"), ("code-string", "error-wash"), ("code-string", "good-wash"),
    ("code-number", "panel"), ("code-number", "error-wash"), ("code-keyword", "sunken"),
    ("code-string", "sunken"), ("soft", "error-wash"), ("soft", "good-wash"),
    ("info", "error-wash"), ("good", "accent-wash"), ("good", "panel"), ("error", "accent-wash"),
    ("code-keyword", "paper"), ("code-string", "paper"), ("code-number", "paper"),
    ("code-keyword", "accent-wash"), ("code-string", "accent-wash"),
    ("code-number", "accent-wash"), ("warning", "accent-wash"),
]  # fmt: skip


def test_vendored_files_are_what_they_were_when_vendored():
    manifest = dict(
        reversed(line.split()) for line in (STATIC / "vendored.sha256").read_text().splitlines()
    )

    found = {name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest() for name in manifest}

    assert found == manifest
    assert set(manifest) == {path.name for path in STATIC.glob("htmx*")}


async def test_static_files_are_served_with_their_types(client):
    types = {
        name: (await client.get(f"static/{name}")).headers["content-type"]
        for name in static_files()
    }

    assert types["app.css"].startswith("text/css")
    assert types["app.js"].startswith("text/javascript")
    assert "vendored.sha256" not in types


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_nothing_inline_and_trust_nothing(path):
    text = path.read_text()

    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+\s*=", text)
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", text)
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"https?://", text)
    assert "hx-on" not in text
    assert "hx-vals" not in text


def test_our_own_files_ask_nothing_of_others():
    for name in ("app.css", "app.js"):
        text = (STATIC / name).read_text()
        assert not re.search(r"https?://|@import|url\(|eval\(|innerHTML", text)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_text_has_enough_contrast(text, ground, theme):
    colours = dict(_colours(theme))

    light, dark = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)

    assert (light + 0.05) / (dark + 0.05) >= 4.5


def _colours(theme):
    css = (STATIC / "app.css").read_text()
    for name, *values in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css):
        yield name, values[theme]


def _luminance(colour):
    channels = [int(colour[a:b], 16) / 255 for a, b in pairwise((1, 3, 5, 7))]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
