"""Situations in which an event loop is held, or looks as if it were, and what is said of them.

python -m tests.corpus.loop                  both loops, both thresholds, the table
python -m tests.corpus.loop --loop uvloop --threshold 50 --runs 3
python -m tests.corpus.loop --busy           beside a second process that computes
"""
