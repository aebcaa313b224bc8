"""A small bookshop API, written the way FastAPI teams write them.

Every defect that the diagnostics know stands in here once, beside its mended twin:
`v1` routes hold the defects, `v2` routes the cure. `# defect: RULE name` marks the guilty line,
and `pairs.py` lists all of them.
"""
