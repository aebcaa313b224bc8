"""A shop that keeps nothing in a database."""

from fastapi import FastAPI

from fastapi_diagnostics import DiagnosticsMiddleware

PRICES = {"tea": 3}

app = FastAPI()
app.add_middleware(DiagnosticsMiddleware)


@app.get("/prices/{name}")
async def price(name: str) -> int:
    return PRICES[name]
