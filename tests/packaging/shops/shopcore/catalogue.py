"""Asks the database."""

from collections.abc import Iterable

from shopcore.models import Author


def titles_of(authors: Iterable[Author]) -> list[str]:
    found = []
    for author in authors:
        found += [book.title for book in author.books]
    return found
