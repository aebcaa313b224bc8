"""APP104: a class dependency counts or collects on itself, and is new for every request."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import LostState, RequestRecord

RULE = Rule(
    code="APP104",
    name="lost-dependency-state",
    family="app",
    severity="info",
    title="State is kept on a dependency that is new for every request",
    what=(
        "Reports a class used as a dependency, as in Depends(RateLimiter), whose method counted "
        "an attribute up or filled a dictionary of the instance during a request."
    ),
    why=(
        "FastAPI calls the class anew for each request. A counter, limit or cache on the instance "
        "starts from nothing every time, so the limit never bites and the cache never hits."
    ),
    example="""\
class RateLimiter:
    def __init__(self):
        self.calls = 0

    def check(self):
        self.calls += 1
        if self.calls > 100:
            raise HTTPException(429)

@app.get("/quotes")
async def quotes(limiter: Annotated[RateLimiter, Depends(RateLimiter)]):
    limiter.check()
""",
    instead="""\
limiter = RateLimiter()

def get_limiter():
    return limiter

@app.get("/quotes")
async def quotes(limiter: Annotated[RateLimiter, Depends(get_limiter)]):
    limiter.check()
""",
    limits=(
        "State that is meant for one request only looks the same; then there is nothing to mend.",
        "Only numbers and dictionaries of dependencies of the endpoint itself are looked at.",
        "With several workers, one instance for each process may still not be what is wanted.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield a note for each attribute that a request changed on a new instance."""
    for state in record.lost_states:
        yield _finding(state)


def _finding(state: LostState) -> Finding:
    name = f"{state.dependency}.{state.attribute}"
    unit = " entries" if state.entries else ""
    before, after = f"{state.before:g}{unit}", f"{state.after:g}{unit}"
    return RULE.finding(
        f"{name} went from {before} to {after}, but Depends({state.dependency}) makes a new "
        f"{state.dependency} for every request: the next one starts at {before} again.",
        location=state.location,
        confidence="likely",
        fix=Fix(
            summary=(
                f"If it is to last, make one {state.dependency} at module level and hand that one "
                "out. With several workers it belongs in a store that they share, such as Redis."
            ),
            code=(
                f"shared = {state.dependency}()\n\n\n"
                "def get_shared():\n"
                "    return shared\n\n\n"
                "Depends(get_shared)"
            ),
        ),
        evidence={
            "dependency": state.dependency,
            "attribute": name,
            "before": state.before,
            "after": state.after,
        },
        cause=name,
    )
