"""Labelled situations around the database.

A module in `situations` is part of the corpus: that is all there is to do for further ones.
"""
