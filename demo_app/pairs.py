"""Every defect of the shop with its mended twin, and the calls in which there is nothing to find.

The guilty line carries the comment `# defect: RULE name`. For REQ101 defect and twin are two
requests to the same or to sibling routes: the server is right to refuse the first one.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from demo_app.users.security import issue_token

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Call:
    """A request and the status that answers it."""

    method: str
    path: str
    json: Any = None
    form: dict[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Pair:
    """A defect and its cure.

    Attributes:
        rule: The code of the rule that finds it.
        name: Tells the pairs of one rule apart.
        defect: The call that shows it.
        mended: The call to the twin, where nothing is found.
        file: Where the guilty line stands, relative to the project root.
        marker: What stands behind `# defect:` on that line.
    """

    rule: str
    name: str
    defect: Call
    mended: Call
    file: str
    marker: str


@dataclass(frozen=True)
class Audit:
    """A defect that is found before anybody calls, and its cure in a file beside.

    Attributes:
        rule: The code of the rule that finds it.
        name: Tells the audits of one rule apart.
        file: Where the guilty line stands, relative to the project root.
        mended: The file of the twin, in which nothing is found.
        marker: What stands behind `# defect:` on that line.
    """

    rule: str
    name: str
    file: str
    mended: str
    marker: str


def marked_line(pair: Pair | Audit) -> tuple[str, int]:
    """Find the file (relative to the project root) and the line of a pair's defect.

    Raises:
        ValueError: The marker is not there exactly once.
    """
    lines = (_ROOT / pair.file).read_text(encoding="utf-8").splitlines()
    marker = f"# defect: {pair.marker}"
    found = [number for number, line in enumerate(lines, start=1) if line.endswith(marker)]
    if len(found) != 1:
        raise ValueError(
            f"{pair.file} has the marker '{marker}' on {len(found)} lines, not on one."
        )
    return pair.file, found[0]


def _pair(rule: str, name: str, file: str, *, defect: Call, mended: Call, marker: str = "") -> Pair:
    return Pair(rule, name, defect, mended, f"demo_app/{file}", f"{rule} {marker or name}")


def _bearer(user_id: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue_token(user_id)}"}


ADMIN, CLERK = _bearer(1), _bearer(2)
LOGIN = {"user_name": "clerk", "password": "clerk-password"}
ORDER = {"customer_id": 3, "items": [{"book_id": 7, "quantity": 2}]}

CONFIRM = Call("POST", "/orders/15/confirm")  # order 15 is of a customer who reads Finnish
CONFIRM_V2 = Call("POST", "/v2/orders/15/confirm")
GOOD_REQUEST = Call("POST", "/orders/quotes", json=ORDER)


def _dispatch(rule: str, name: str, file: str, defect: Call) -> Pair:
    mended = replace(defect, path=f"/v2{defect.path}")
    return _pair(rule, name, f"dispatch/{file}", defect=defect, mended=mended)


def _campaign(rule: str, name: str, defect: Call) -> Pair:
    mended = replace(defect, path=f"/v2{defect.path}")
    return _pair(rule, name, "campaigns/service.py", defect=defect, mended=mended)


def _rejected(name: str, *, json: Any = None, form: dict[str, str] | None = None) -> Pair:
    """Pair a request that the quotes route refuses with the right one."""
    bad = Call("POST", "/orders/quotes", json=json, form=form, status=422)
    file, marker = "orders/router.py", "bad-requests"
    return _pair("REQ101", name, file, defect=bad, mended=GOOD_REQUEST, marker=marker)


def _warehouse(rule: str, name: str, path: str) -> Pair:
    return _pair(
        rule,
        name,
        "warehouse/service.py",
        defect=Call("GET", f"/warehouse/{path}"),
        mended=Call("GET", f"/v2/warehouse/{path}"),
    )


def _stockroom(rule: str, name: str, path: str, file: str = "service") -> Pair:
    defect, mended = Call("GET", f"/stockroom/{path}"), Call("GET", f"/v2/stockroom/{path}")
    return _pair(rule, name, f"stockroom/{file}.py", defect=defect, mended=mended)


def _gift(rule: str, name: str, defect: Call, file: str = "service", **mended: Any) -> Pair:
    twin = replace(defect, path=f"/v2{defect.path}", **mended)
    return _pair(rule, name, f"gifts/{file}.py", defect=defect, mended=twin)


def _audit(rule: str, name: str, module: str) -> Audit:
    folder = "demo_app/circles"
    marker = f"{rule} {name}"
    return Audit(rule, name, f"{folder}/{module}.py", f"{folder}/{module}_v2.py", marker)


WAREHOUSE_BLOCKS = (("http", "freight"), ("db", "ledger"), ("regex", "scan"), ("cpu", "forecast"))

PAIRS: tuple[Pair, ...] = (
    _pair(
        "SQL101",
        "lazy-load-in-loop",
        "authors/service.py",
        defect=Call("GET", "/authors/bibliographies"),
        mended=Call("GET", "/v2/authors/bibliographies"),
    ),
    _pair(
        "SQL101",
        "lazy-load-in-response",
        "authors/service.py",
        defect=Call("GET", "/authors/catalogue"),
        mended=Call("GET", "/v2/authors/catalogue"),
    ),
    _pair(
        "SQL103",
        "get-in-loop",
        "orders/service.py",
        defect=Call("GET", "/orders/open"),
        mended=Call("GET", "/v2/orders/open"),
    ),
    _campaign("SQL102", "column-left-out", Call("GET", "/campaigns/budgets")),
    _campaign("SQL104", "commit-per-voucher", Call("POST", "/campaigns/1/vouchers", status=201)),
    _campaign("SQL106", "every-minute", Call("GET", "/campaigns/busy-minutes")),
    _campaign("SQL107", "channels-for-nothing", Call("GET", "/campaigns/names")),
    _campaign("SQL108", "side-by-side", Call("GET", "/campaigns/reach")),
    _campaign("SQL109", "every-click", Call("GET", "/campaigns/clicks")),
    _campaign("SQL110", "one-so-far", Call("GET", "/campaigns/stations")),
    _pair(
        "SQL105",
        "same-rate-again",
        "books/service.py",
        defect=Call("GET", "/books/prices?currency=GBP"),
        mended=Call("GET", "/v2/books/prices?currency=GBP"),
    ),
    _pair(
        "SQL201",
        "unloaded",
        "authors/service.py",
        defect=Call("GET", "/authors/4", status=500),
        mended=Call("GET", "/v2/authors/4"),
    ),
    _pair(
        "SQL201",
        "refreshed",
        "authors/service.py",
        defect=Call("PATCH", "/authors/5", json={"name": "Elif Margin"}, status=500),
        mended=Call("PATCH", "/v2/authors/5", json={"name": "Elif Marginalia"}),
    ),
    _gift("SQL202", "read-after-close", Call("GET", "/gifts/favourites/4", status=500), status=200),
    _gift("SQL203", "gathered", Call("GET", "/gifts/overview")),
    _gift("SQL301", "second-connection", Call("GET", "/gifts/change/3", status=500), status=200),
    _gift("SQL302", "engraver", Call("GET", "/gifts/greetings/3")),
    _gift("SQL303", "nobody-closes", Call("GET", "/gifts/cards"), "sessions"),
    _gift("SQL304", "thanks-too-late", Call("POST", "/gifts/thanks/3")),
    _gift("SQL305", "async-endpoint", Call("GET", "/gifts/titles")),
    _gift("SQL306", "never-committed", Call("POST", "/gifts/BIRTHDAY", status=201)),
    _gift(
        "SQL307",
        "commits-too-late",
        Call("POST", "/gifts/NEWYEAR/reservations", status=201),
        "sessions",
        status=409,
    ),
    _pair(
        "LOOP101",
        "sleep",
        "books/service.py",
        defect=Call("GET", "/books/8/availability"),
        mended=Call("GET", "/v2/books/8/availability"),
    ),
    _pair(
        "LOOP101",
        "password-hash",
        "users/service.py",
        defect=Call("POST", "/users/login", json=LOGIN),
        mended=Call("POST", "/v2/users/login", json=LOGIN),
    ),
    *(_warehouse("LOOP101", name, path) for name, path in WAREHOUSE_BLOCKS),
    _stockroom("LOOP101", "async-driver", "shelves"),
    _stockroom("LOOP101", "process-pool", "sales", "sums"),
    _stockroom("LOOP103", "in-a-thread", "crates"),
    _warehouse("LOOP102", "parcel-by-parcel", "weights"),
    _warehouse("LOOP201", "one-printer", "labels"),
    _pair("TASK101", "failing-mail", "orders/tasks.py", defect=CONFIRM, mended=CONFIRM_V2),
    _pair("TASK102", "never-ran", "orders/router.py", defect=CONFIRM, mended=CONFIRM_V2),
    _dispatch("TASK103", "forgotten-call", "router.py", Call("POST", "/dispatch/calls")),
    _dispatch("TASK104", "weak-reference", "router.py", Call("POST", "/dispatch/2/payment")),
    _dispatch("TASK105", "empty-logbook", "service.py", Call("POST", "/dispatch/2/pack")),
    _dispatch("TASK106", "unknown-courier", "service.py", Call("GET", "/dispatch/call-list")),
    _dispatch("TASK107", "missing-await", "router.py", Call("POST", "/dispatch/2/remind")),
    _dispatch("APP104", "new-counter", "service.py", Call("POST", "/dispatch/pickups")),
    _rejected("missing-key", json={"customer_id": 3, "items": [{"book_id": 7}]}),
    _rejected("wrong-type", json={"customer_id": 3, "items": [{"book_id": 7, "quantity": "two"}]}),
    _rejected("misspelt-key", json={"customerId": 3, "items": [{"book_id": 7, "quantity": 2}]}),
    _rejected("form-for-json", form={"customer_id": "3", "book_id": "7", "quantity": "2"}),
    _pair(
        "REQ102",
        "shadowing-route",
        "books/router.py",
        defect=Call("GET", "/books/bestsellers", status=422),
        mended=Call("GET", "/v2/books/bestsellers"),
    ),
    _pair(
        "RES101",
        "undeclared-field",
        "reports/router.py",
        defect=Call("GET", "/reports/margins", headers=ADMIN),
        mended=Call("GET", "/v2/reports/margins", headers=ADMIN),
    ),
    _pair(
        "RES101",
        "undeclared-nested-field",
        "reports/router.py",
        defect=Call("GET", "/reports/low-stock", headers=ADMIN),
        mended=Call("GET", "/v2/reports/low-stock", headers=ADMIN),
    ),
    _pair(
        "RES101",
        "more-columns",
        "books/router.py",
        defect=Call("GET", "/books/9/card"),
        mended=Call("GET", "/v2/books/9/card"),
    ),
    _pair(
        "REQ103",
        "slash-redirect",
        "window/router.py",
        defect=Call("POST", "/window/books", json={"book_id": 3}, status=307),
        mended=Call("POST", "/v2/window/books", json={"book_id": 3}),
    ),
    _pair(
        "RES102",
        "books-left-out",
        "window/router.py",
        defect=Call("GET", "/window/author"),
        mended=Call("GET", "/v2/window/author"),
    ),
    _pair(
        "RES103",
        "misspelt-key",
        "window/router.py",
        defect=Call("GET", "/window/offer"),
        mended=Call("GET", "/v2/window/offer"),
    ),
    _pair(
        "RES104",
        "password-hashes",
        "window/router.py",
        defect=Call("GET", "/window/curators", headers=ADMIN),
        mended=Call("GET", "/v2/window/curators", headers=ADMIN),
    ),
    _pair(
        "RES105",
        "price-unknown",
        "window/router.py",
        defect=Call("GET", "/window/price/3", status=500),
        mended=Call("GET", "/v2/window/price/3"),
    ),
    _pair(
        "APP101",
        "own-form",
        "partners/app.py",
        defect=Call("GET", "/partners/conditions", status=404),
        mended=Call("GET", "/v2/partners/conditions", status=404),
    ),
    _pair(
        "EXC102",
        "failing-handler",
        "window/errors.py",
        defect=Call("POST", "/window/places", status=500),
        mended=Call("POST", "/v2/window/places", status=409),
    ),
    _pair(
        "EXC101",
        "key-error",
        "orders/service.py",
        defect=Call("GET", "/orders/3/tracking", status=500),
        mended=Call("GET", "/v2/orders/3/tracking", status=404),
    ),
)

AUDITS: tuple[Audit, ...] = (
    _audit("APP102", "class-config", "schemas"),
    _audit("APP102", "validator", "schemas"),
    _audit("APP102", "dict-call", "router"),
    _audit("APP103", "no-motto", "schemas"),
    _audit("APP103", "any-name", "router"),
    _audit("APP105", "open-delete", "members"),
    _audit("APP107", "once-more", "router"),
    _audit("APP108", "meetings-for-everyone", "models"),
    Audit(
        "LOOP104",
        "unlocking",
        "demo_app/stockroom/opening.py",
        "demo_app/stockroom/opening_v2.py",
        "LOOP104 unlocking",
    ),
)

CLEAN: tuple[Call, ...] = (
    Call("GET", "/authors"),
    Call("GET", "/books"),
    Call("GET", "/books?page=2"),
    Call("GET", "/books/10"),
    Call("GET", "/books/999", status=404),
    Call("GET", "/v2/books/10"),
    Call("GET", "/orders/1/tracking"),
    Call("POST", "/orders", json=ORDER, status=201),
    Call("POST", "/orders", json=ORDER | {"items": [{"book_id": 999, "quantity": 1}]}, status=404),
    Call("POST", "/v2/users/login", json=LOGIN | {"password": "guess"}, status=401),
    Call("GET", "/users/me", headers=CLERK),
    Call("GET", "/users/me", status=401),
    Call("GET", "/users", headers=ADMIN),
    Call("GET", "/users", headers=CLERK, status=403),
)
