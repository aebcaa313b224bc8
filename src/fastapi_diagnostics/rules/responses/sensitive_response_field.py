"""RES104: a password, a key or the like was sent to the client."""

import re
from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import RequestRecord, SentSecret

RULE = Rule(
    code="RES104",
    name="sensitive-response-field",
    family="responses",
    severity="warning",
    title="A password- or secret-like field was sent to the client",
    what=(
        "Looks at the names of what went out and reports passwords, their hashes, security codes, "
        "and, in answers to GET, stored secrets and private keys. Tokens that an answer is made "
        "of (access_token, refresh_token and their like) are no defect, nor are masked values. "
        "Values are never kept."
    ),
    why=(
        "What has been sent stays in logs, caches and browsers. A password hash can be attacked "
        "at leisure, and people use their password elsewhere too."
    ),
    example="""\
@app.get("/users/{user_id}")
async def get_user(user_id: int, session: Session):
    return await session.get(User, user_id)  # with User.password_hash
""",
    instead="""\
class UserOut(BaseModel):
    id: int
    name: str

@app.get("/users/{user_id}", response_model=UserOut)
async def get_user(user_id: int, session: Session):
    return await session.get(User, user_id)
""",
    limits=(
        "Told by the name; a harmless text may have a name like a secret, and the other way round.",
        (
            "Only what FastAPI serialises is looked at, and of long answers the first 4 KiB; not a "
            "Response that the endpoint makes itself."
        ),
        "Of each kind of response the first 25 are looked at, then one in ten.",
    ),
)

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PASSWORDS = re.compile(r"passw(?:or)?d|passphrase|passcode|passwort|kennwort|contrasena|^pwd$")
_CODES = frozenset({"cvv", "cvc", "cvn"})
_GIVEN_ONCE = frozenset({"temporary", "temp", "generated", "initial", "one", "onetime", "new"})
"""First words of passwords that are made up for the client, and told once."""
_STORED = re.compile(r"secret$|secretkey$|privatekey$|signingkey$|encryptionkey$|masterkey$")
_RESETS = re.compile(r"^(?:password)?(?:reset|recovery|verification|confirmation)token$")
_READING = frozenset({"GET", "HEAD"})
_SAYS_ABOUT = frozenset({"hint", "rules", "label", "name", "url", "help", "field", "placeholder"})


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each endpoint that sent what it should keep."""
    if record.kind != "http":
        return
    leaks = [secret for secret in record.sent_secrets if _is_leak(secret, record.method)]
    if leaks:
        yield _finding(record, leaks)


def _is_leak(secret: SentSecret, method: str) -> bool:
    words = [word.casefold() for word in _TOKEN.findall(_key(secret))]
    name = "".join(words)
    if not words or words[-1] in _SAYS_ABOUT:
        return False
    if _PASSWORDS.search(name):
        return not (words[0] in _GIVEN_ONCE and method not in _READING and not secret.hashed)
    if words[-1] in _CODES or _RESETS.search(name):
        return True
    return method in _READING and _STORED.search(name) is not None


def _finding(record: RequestRecord, leaks: list[SentSecret]) -> Finding:
    paths = [leak.path for leak in leaks]
    first = leaks[0]
    who = f"{first.endpoint.function}()" if first.endpoint is not None else record.route
    hashed = [leak.path for leak in leaks if leak.hashed]
    model = _model(first)
    through = f" through its response model {model}" if model else ""
    shown = ", ".join(f"`{path}`" for path in paths[:4])
    hashes = f" {', '.join(f'`{p}`' for p in hashed[:4])} looks like the hash of a password."
    return RULE.finding(
        f"{who} sent {shown}{through} to the client.{hashes if hashed else ''}",
        location=first.endpoint,
        confidence="proven" if hashed else "likely",
        fix=_fix(first),
        evidence={"paths": paths, "response_model": first.model, "hashes": hashed},
        cause=",".join(sorted({_key(leak) for leak in leaks})),
    )


def _fix(leak: SentSecret) -> Fix:
    key = _key(leak)
    model = _model(leak)
    outer = leak.path.rpartition(".")[0].removeprefix("[]").strip(".")
    if outer:
        return Fix(
            summary=f"Take `{key}` out of what `{outer}` is declared as: give it a model that "
            "names only what clients may see; where it is a free dict, take the key out before "
            "you answer.",
        )
    if model:
        return Fix(
            summary=f"Take `{key}` out of {model}: answer with a model that declares only "
            "what clients may see.",
            code=f"{key}: str = Field(exclude=True)",
        )
    return Fix(
        summary=f"Give the route a response model without `{key}`; FastAPI then removes it.",
        code="response_model=...",
    )


def _model(leak: SentSecret) -> str:
    """Name the response model; empty where none names any field."""
    return "" if _ANYTHING.fullmatch(leak.model) else leak.model


_ANYTHING = re.compile(r"(?:Any|object|None|dict|list|str|int|float|bool|Mapping|[\[\], |])*")


def _key(secret: SentSecret) -> str:
    return secret.path.rpartition(".")[2].removesuffix("[]")
