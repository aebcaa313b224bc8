"""REQ103: a redirect for a missing or superfluous slash met a request with a body or a login."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import RequestRecord, SlashRedirect

RULE = Rule(
    code="REQ103",
    name="redirected-with-body",
    family="requests",
    severity="warning",
    title="A request with a body or a login was only redirected, for a slash at the end of its URL",
    what=(
        "Finds requests that matched no route and were answered with a redirect to the same path "
        "with or without its last slash, although they carried a body or the header Authorization."
    ),
    why=(
        "Nothing was done yet. Clients that do not follow redirects by themselves (httpx, curl) "
        "stop here; others send the body twice; and where the redirect leads to another origin, "
        "such as from https to http behind a proxy, they leave the Authorization out and the next "
        "answer is a 401."
    ),
    example=(
        '@router.post("/items/")\n'
        "async def create(item: Item) -> Item: ...\n\n\n"
        'client.post("/items", json={"name": "lamp"})'
    ),
    instead=(
        '@router.post("/items/")\n'
        "async def create(item: Item) -> Item: ...\n\n\n"
        'client.post("/items/", json={"name": "lamp"})'
    ),
    limits=(
        "Whether this client follows the redirect, and what it then sends, is not seen here.",
        (
            "A GET with Authorization is a note, unless a proxy's header says that the client came "
            "over https and the redirect says http."
        ),
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Report a redirect that may lose a body or a login."""
    redirect = record.slash_redirect
    if redirect is not None and (redirect.body or redirect.authorization):
        yield _finding(record, redirect)


def _finding(record: RequestRecord, redirect: SlashRedirect) -> Finding:
    serious = redirect.body or redirect.leaves_https
    carried = " and ".join(
        name
        for name, is_there in (
            ("a body", redirect.body),
            ("the header Authorization", redirect.authorization),
        )
        if is_there
    )
    leaves = (
        " The client came over https and the redirect says http: clients drop Authorization there."
        if redirect.leaves_https
        else ""
    )
    return RULE.finding(
        f"{record.method} {record.path} carried {carried} and was only redirected to "
        f"{redirect.to}: no endpoint ran.{leaves}",
        location=redirect.endpoint,
        severity="warning" if serious else "info",
        fix=Fix(
            summary=f"Call {redirect.to}; or declare the route without the difference, or with "
            "redirect_slashes=False, so that a wrong slash is a plain 404."
            + (
                " Run the server with --proxy-headers, so that redirects keep https."
                if redirect.leaves_https
                else ""
            ),
            code=f'client.{record.method.lower()}("{redirect.to}", ...)',
        ),
        evidence={
            "to": redirect.to,
            "route": redirect.route,
            "body": redirect.body,
            "authorization": redirect.authorization,
            "leaves_https": redirect.leaves_https,
        },
        cause=redirect.route,
    )
