"""An application that is handed secrets and is careless with all of them.

Not imported by tests: it is copied into a project of its own and served there.
Secrets come with the requests, so that none stands in the source of the application.
"""

import functools
import json
import logging
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import (
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    UploadFile,
    WebSocket,
)
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials, HTTPBearer
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from fastapi_diagnostics import DiagnosticsMiddleware


class Everything(logging.Formatter):
    """Writes all a log record holds."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() + json.dumps(vars(record), default=repr)


events = logging.FileHandler("events.log")
events.setFormatter(Everything())
logging.getLogger("fastapi_diagnostics").addHandler(events)
logging.getLogger("fastapi_diagnostics").addHandler(logging.StreamHandler())


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="", unique=True)
    password_hash: Mapped[str] = mapped_column(default="")
    settings: Mapped[str] = mapped_column(default="")

    def __repr__(self) -> str:
        return f"Account(name={self.name!r}, password_hash={self.password_hash!r})"


engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
Base.metadata.create_all(engine)
Path("data").mkdir(exist_ok=True)
async_engine = create_async_engine("sqlite+aiosqlite:///data/accounts.db")

app = FastAPI()
app.add_middleware(DiagnosticsMiddleware)


class Login(BaseModel):
    author: str = ""
    password: str
    count: int = 0


class Loose(BaseModel):
    """Refuses `count`, whatever else there is."""

    count: int
    rest: Any = None


class Credentials(BaseModel):
    value: int


class Strict(BaseModel):
    """Refuses secrets of the wrong type."""

    password: SecretStr = Field(default=SecretStr("x" * 60), min_length=50)
    pin: int = Field(default=0, le=9999)
    tokens: list[int] = []
    credentials: Credentials | None = None
    api_key: Literal["first", "second"] = "first"
    author: int = 0


class Quoting(BaseModel):
    """Its validators quote what they refuse."""

    password: str = ""
    token: str = ""

    @field_validator("password")
    @classmethod
    def strong(cls, value: str) -> str:
        if value:
            raise ValueError(f"{value} is too weak")
        return value

    @model_validator(mode="after")
    def different(self) -> "Quoting":
        assert not self.token, f"{self.token} was used before"
        return self


class Shown(BaseModel):
    name: str = ""


class Failure(Exception):
    pass


@app.exception_handler(Failure)
async def failed(request: Request, error: Failure) -> JSONResponse:
    return JSONResponse({"failed": True}, 409)


class Broken(Exception):
    pass


@app.exception_handler(Broken)
async def broken(request: Request, error: Broken) -> JSONResponse:
    raise RuntimeError(f"cannot tell of {error}")


# What comes with the request.


@app.post("/login")
async def login(body: Login) -> None:
    pass


@app.post("/loose")
async def loose(body: Loose) -> None:
    pass


@app.post("/strict")
async def strict(body: Strict) -> None:
    pass


@app.post("/quoting")
async def quoting(body: Quoting) -> None:
    pass


@app.post("/form")
async def form(password: Annotated[str, Form()], count: Annotated[int, Form()]) -> None:
    pass


@app.post("/pin")
async def pin(pin: Annotated[int, Form()]) -> None:
    pass


@app.post("/upload")
async def upload(password: Annotated[str, Form()], token: Annotated[int, File()]) -> None:
    pass


@app.post("/file")
async def file(file: UploadFile, count: Annotated[int, Form()]) -> None:
    pass


@app.get("/search")
async def search(request: Request, count: int = 0) -> None:
    pass


@app.get("/token-number")
async def token_number(token: Annotated[int, Query()]) -> None:
    pass


@app.get("/reset-password/{code}")
async def reset(code: str) -> None:
    pass


@app.get("/verify/{token}")
async def verify(token: str) -> None:
    pass


@app.get("/confirm/{token}/{count}")
async def confirm(token: str, count: int) -> None:
    pass


@app.get("/things/{thing}")
async def thing(thing: str) -> None:
    pass


@app.get("/header")
async def header(x_api_key: Annotated[int, Header()]) -> None:
    pass


@app.get("/cookie")
async def cookie(session: Annotated[int, Cookie()]) -> None:
    pass


@app.get("/bearer")
async def bearer(
    credentials: Annotated[Any, Depends(HTTPBearer(auto_error=False))], count: int
) -> None:
    pass


@app.get("/bearer-broken")
async def bearer_broken(request: Request) -> None:
    raise ValueError(f"refused: {dict(request.headers)}")


@app.get("/cookies-broken")
async def cookies_broken(request: Request) -> None:
    raise ValueError(f"refused: Cookie: {request.headers['cookie']}")


@app.get("/basic")
async def basic(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> None:
    raise ValueError(f"{credentials!r} is wrong")


# What the code does with it.


@app.post("/raise/{kind}")
async def raising(kind: str, body: Login, request: Request) -> None:
    secret = body.password
    match kind:
        case "message":
            raise ValueError(f"cannot log in with password={secret} now")
        case "quoted":
            raise ValueError(f"cannot log in with password='{secret} and {secret}' now")
        case "dict":
            raise ValueError({"user": {"api_key": secret}})
        case "json":
            raise ValueError(json.dumps(json.dumps({"client_secret": secret})))
        case "model":
            raise ValueError(f"{body!r}")
        case "url":
            raise ConnectionError(f"no answer of postgresql+asyncpg://shop:{secret}@db:5432/shop")
        case "query":
            raise ConnectionError(
                f"GET https://api.test/v1?a=1&access_token={secret}#x answered 401"
            )
        case "bearer":
            raise ValueError(f"sent Authorization: Bearer {secret} and got 401")
        case "jwt":
            raise ValueError(f"expired: {secret}")
        case "handled":
            raise Failure(f"token: {secret}")
        case "handler":
            raise Broken(f"secret={secret}")
        case "http":
            raise HTTPException(500, f"cookie={secret}")
        case "http-dict":
            raise HTTPException(500, {"private_key": secret})
        case "group":
            members = [ValueError(f"secret={secret}"), KeyError(f"auth_token={secret}")]
            raise ExceptionGroup(f"failed with password={secret}", members)
        case "cause":
            raise RuntimeError("no login") from PermissionError(f"passphrase={secret}")
        case "context":
            try:
                raise PermissionError(f"jwt={secret}")
            except PermissionError:
                raise RuntimeError("no login")  # noqa: B904


async def needs_token(token: str = "") -> None:
    if token:
        raise HTTPException(401, f"token={token} is unknown")


async def needs_secret(secret: str = "") -> None:
    if secret:
        raise LookupError(f"secret={secret} is unknown")


@app.get("/dependency", dependencies=[Depends(needs_token), Depends(needs_secret)])
async def dependency() -> None:
    pass


def send(token: str, text: str = "", **options: Any) -> None:
    if text == "fail":
        raise OSError(f"mail server refused auth={token}")


class Mailer:
    def deliver(self, password: str) -> None:
        pass


@app.post("/tasks/{kind}")
async def tasks(kind: str, body: Login, background: BackgroundTasks) -> None:
    secret = body.password
    match kind:
        case "positional":
            background.add_task(send, secret)
        case "keyword":
            background.add_task(send, "", password=secret, nested={"a": [{"secret": secret}]})
        case "failing":
            background.add_task(send, secret, "fail")
        case "method":
            background.add_task(Mailer().deliver, secret)
        case "partial":
            background.add_task(functools.partial(send, text="x"), secret)
        case "object":
            account = Account(name="a", password_hash=secret)
            background.add_task(send, "", "", account=account, body=body, key=SecretStr(secret))
        case "never":
            background.add_task(send, secret)
            raise RuntimeError("no task will run")


@app.post("/responses/{kind}", response_model=list[Shown])
async def responses(kind: str, body: Login) -> Any:
    secret = body.password
    if kind == "dict":
        return [{"name": "a", "password_hash": secret, "extra": 1}]
    if kind == "orm":
        return [Account(name="a", password_hash=secret)]
    if kind == "model":
        return [body]
    return [{"name": ["password", secret]}]


def run_sql(session: Session, kind: str, secret: str) -> None:
    connection = session.connection()
    match kind:
        case "literal":
            connection.execute(text(f"SELECT 1 WHERE '{secret}' = 'x'"))
        case "comment":
            connection.execute(text(f"SELECT 1 /* token='{secret}' */ -- {secret}"))
        case "positional":
            connection.exec_driver_sql(
                "UPDATE accounts SET password_hash=? WHERE id=?", (secret, 1)
            )
        case "named":
            statement = text("SELECT id FROM accounts WHERE password_hash = :password AND id = :id")
            connection.execute(statement, {"password": secret, "id": 5})
        case "driver-named":
            connection.exec_driver_sql("SELECT :token", {"token": secret})
        case "many":
            rows = [{"name": f"{secret}{i}", "password_hash": secret} for i in range(3)]
            connection.execute(insert(Account), rows)
            session.rollback()
        case "orm":
            session.add(Account(name=f"n{secret[-8:]}", password_hash=secret))
            session.flush()
            session.rollback()
        case "json":
            held = json.dumps({"api_key": secret})
            session.execute(select(Account).where(Account.settings == held))
        case "in":
            hashes = [secret, secret + "1"]
            session.execute(select(Account).where(Account.password_hash.in_(hashes)))
        case "failing":
            connection.exec_driver_sql("UPDATE nothing SET password_hash=? WHERE id=?", (secret, 1))
        case "failing-many":
            rows = [{"id": 7, "name": "same", "password_hash": secret} for _ in range(2)]
            connection.execute(insert(Account), rows)
        case "failing-literal":
            connection.execute(text(f"SELECT nothing FROM accounts WHERE settings = '{secret}'"))


@app.post("/sql/{kind}")
def sql(kind: str, body: Login) -> None:
    with Session(engine) as session:
        run_sql(session, kind, body.password)


@app.post("/asql/{kind}")
async def asql(kind: str, body: Login) -> None:
    async with async_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(async_engine) as session:
        await session.run_sync(run_sql, kind, body.password)


@app.websocket("/ws")
async def ws(socket: WebSocket) -> None:
    await socket.accept()
    message = await socket.receive_text()
    raise ValueError(f"got token={message}")


@app.get("/decode")
async def decode(authorization: Annotated[str, Header()]) -> None:
    user, _, password = b64decode(authorization.split()[1]).decode().partition(":")
    raise PermissionError(f"{user=} {password=}")


@app.get("/authors/{author}")
async def plain(author: str, request: Request) -> None:
    raise ValueError(f"author={author} has no passenger in /srv/shop/passengers.py")
