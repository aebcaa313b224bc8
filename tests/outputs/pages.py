"""Reads pages as a browser's parser does."""

import html5lib

PAGES = (
    "",
    "?notes=1",
    "?state=resolved",
    "findings",
    "requests",
    "requests/01KB5E0N1",
    "requests/01KB5E0N2",
    "requests/01KB5E0N3",
    "requests/01KB5E0N4",
    "queries",
    "queries?sort=most",
    "loop",
    "application",
    "validation",
    "validation?sort=latest&route=POST+/users",
    "responses",
    "responses?show=removed",
    "loop?minutes=1440&block=b1&request=01KB5E0N2",
    "rules",
    "rules/SQL101",
    "status",
)


def parsed(text: str):
    """Parse strictly enough to notice unclosed and misplaced elements."""
    return html5lib.parse(text, namespaceHTMLElements=False)


def elements(text: str) -> set[tuple[str, tuple[str, ...]]]:
    """Give the shapes of all elements: name and attribute names."""
    return {
        (node.tag, tuple(sorted(node.attrib)))
        for node in parsed(text).iter()
        if isinstance(node.tag, str)
    }


def links(text: str) -> set[str]:
    """Give every URL that the page would load, follow or send to."""
    found = set()
    for node in parsed(text).iter():
        for name in ("href", "src", "action", "hx-get", "data-api", "data-list"):
            if name in node.attrib and isinstance(node.tag, str):
                found.add(node.attrib[name])
    return found


def words(text: str) -> str:
    """Give the text of a page, with single spaces."""
    tree = parsed(text)
    body = tree.find("body")
    return " ".join(" ".join(body.itertext()).split())
