"""FastAPI's and Starlette's own test suites, with us around every application and without."""
