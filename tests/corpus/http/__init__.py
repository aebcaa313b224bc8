"""Labelled situations around requests, responses and exceptions.

A module ``cases_*.py`` with a list `SITUATIONS` is part of the corpus: that is all there is to do
for further ones. Lines where something must be found end with ``# NAME`` in capital letters.
"""
