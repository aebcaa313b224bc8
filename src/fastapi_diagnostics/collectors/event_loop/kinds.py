"""Names the kind of a block: from the library files in its stack, from the call, from clocks."""

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi_diagnostics.collectors.event_loop.calls import Call
from fastapi_diagnostics.collectors.event_loop.sampling import IMPORTING, IN_LOGGING, Sample

_FILES: Final = (
    ("logging", ("/logging/__init__.py", "/logging/handlers.py", "/loguru/")),
    (
        "http",
        (
            *("/requests/", "/urllib3/", "/http/client.py", "/urllib/request.py", "/httpx/"),
            *("/httpcore/", "/httpx2/", "/httpcore2/", "/botocore/", "/boto3/", "/niquests/"),
        ),
    ),
    ("subprocess", ("/subprocess.py",)),
    ("password-hash", ("/passlib/", "/argon2/", "/bcrypt/", "/pwdlib/", "/werkzeug/security.py")),
    ("json", ("/json/", "/orjson/", "/ujson/", "/simplejson/", "/fastapi/encoders.py")),
    ("yaml", ("/yaml/", "/ruamel/")),
    ("pickle", ("/pickle.py", "/copyreg.py", "/cloudpickle/", "/dill/")),
    ("validation", ("/pydantic/", "/pydantic_core/")),
    ("regex", ("/re/__init__.py", "/re.py", "/regex/")),
    ("template", ("/jinja2/",)),
    ("image", ("/PIL/",)),
    ("dataframe", ("/pandas/", "/numpy/", "/polars/", "/sklearn/", "/pyarrow/")),
    ("compression", ("/gzip.py", "/zipfile", "/tarfile.py", "/lzma.py", "/bz2.py")),
    ("lock", ("/threading.py", "/queue.py", "/concurrent/futures/", "/multiprocessing/")),
    (
        "file",
        ("/pathlib.py", "/pathlib/", "/shutil.py", "/tempfile.py", "/glob.py", "/fileinput.py"),
    ),
    (
        "socket",
        ("/smtplib.py", "/ftplib.py", "/imaplib.py", "/paramiko/", "/ssl.py", "/socket.py"),
    ),
)
_DATABASE_FILES: Final = (
    *("/sqlite3/", "/psycopg/", "/psycopg2/", "/pymysql/", "/MySQLdb/", "/pymongo/", "/redis/"),
    *("/pyodbc", "/oracledb/", "/mysql/connector/", "/peewee", "/pymssql/", "/clickhouse"),
)
_ASYNC_PARTS: Final = ("/redis/asyncio/", "/pymongo/asynchronous/", "/psycopg/connection_async")

_CALLS: Final = {
    "time.sleep": "sleep",
    "socket.getaddrinfo": "dns",
    "socket.gethostbyname": "dns",
    "socket.gethostbyname_ex": "dns",
    "socket.gethostbyaddr": "dns",
    "socket.getfqdn": "dns",
    "hashlib.pbkdf2_hmac": "password-hash",
    "hashlib.scrypt": "password-hash",
    "crypt.crypt": "password-hash",
    "os.system": "subprocess",
    "os.wait": "subprocess",
    "os.waitpid": "subprocess",
    "os.popen": "subprocess",
    "gc.collect": "gc",
    "ssl.SSLContext.load_verify_locations": "tls",
    "ssl.create_default_context": "tls",
    "open": "file",
    "builtins.open": "file",
    "io.open": "file",
    "importlib.import_module": "import",
    "input": "file",
}
_MODULES: Final = {
    "sqlite3": "db",
    "psycopg2": "db",
    "psycopg": "db",
    "pymysql": "db",
    "MySQLdb": "db",
    "pyodbc": "db",
    "bcrypt": "password-hash",
    "argon2": "password-hash",
    "nacl": "password-hash",
    "requests": "http",
    "urllib": "http",
    "json": "json",
    "orjson": "json",
    "ujson": "json",
    "msgspec": "json",
    "rapidjson": "json",
    "yaml": "yaml",
    "msgpack": "msgpack",
    "pickle": "pickle",
    "marshal": "pickle",
    "copy": "cpu",
    "pydantic": "validation",
    "pydantic_core": "validation",
    "re": "regex",
    "_sre": "regex",
    "regex": "regex",
    "zlib": "compression",
    "gzip": "compression",
    "bz2": "compression",
    "lzma": "compression",
    "subprocess": "subprocess",
    "threading": "lock",
    "queue": "lock",
    "_queue": "lock",
    "concurrent": "lock",
    "multiprocessing": "lock",
    "socket": "socket",
    "ssl": "socket",
    "select": "socket",
    "io": "file",
    "os": "file",
    "shutil": "file",
    "fcntl": "file",
    "numpy": "dataframe",
    "pandas": "dataframe",
    "PIL": "image",
}

_HARMLESS: Final = frozenset({"urllib.parse", "os.path", "posixpath", "ntpath"})
_IN_MEMORY: Final = ("io.StringIO", "io.BytesIO")
_IN_ONE_CALL: Final = frozenset({"json", "msgpack", "pickle"})
"""What calls back into Python code of other libraries is still this."""

_INSTALLED: Final = re.compile(
    r"/(?:site-packages|dist-packages|python\d\.\d+)/(?!site-packages|dist-packages)(\w+)"
)
_MAX_LIBRARIES: Final = 8
_BUILDING: Final = (
    *("/pydantic/_internal/_generate_schema", "/pydantic/_internal/_model_construction"),
    *("/pydantic/_internal/_mock_val_ser", "/pydantic/json_schema.py"),
)

COMPUTING: Final = frozenset(
    {
        *("json", "yaml", "msgpack", "pickle", "validation", "regex", "template", "image"),
        *("dataframe", "compression", "cpu", "gc", "tls", "rows"),
    }
)
"""Kinds that cannot be without CPU time of the loop's own thread."""

RUNNING: Final = -1
"""Instead of a system call: the thread has or wants a processor."""

_SYSTEM_CALLS: Final[Mapping[str, Mapping[int, str]]] = {
    "x86_64": {
        **dict.fromkeys((35, 230), "sleep"),
        **dict.fromkeys((202, 220), "lock"),
        **dict.fromkeys((7, 23, 42, 43, 44, 45, 46, 47, 232, 270, 271, 281, 288), "socket"),
        **dict.fromkeys((61, 247), "subprocess"),
        **dict.fromkeys((0, 1, 2, 4, 5, 6, 17, 18, 19, 20, 73, 74, 75, 257), "file"),
    },
    "aarch64": {
        **dict.fromkeys((101, 115), "sleep"),
        **dict.fromkeys((98,), "lock"),
        **dict.fromkeys((22, 72, 73, 202, 203, 206, 207, 211, 212, 242), "socket"),
        **dict.fromkeys((95, 260), "subprocess"),
        **dict.fromkeys((32, 56, 63, 64, 65, 66, 67, 68, 82, 83), "file"),
    },
}
_NAMES_OF_THIS_MACHINE: Final = _SYSTEM_CALLS.get(platform.machine(), {})


def recognised(sample: Sample, calls: Mapping[Any, Call]) -> str:
    """Name what a sample shows, nearest to the user's line first; empty if nothing is known."""
    around = _around(sample)
    if around:
        return around
    user_call = calls.get(sample.user[0], Call()) if sample.user else Call()
    user_kind = kind_of_call(user_call)
    leaf_kind = kind_of_call(calls.get(sample.leaf, Call()))
    if "tls" in {user_kind, leaf_kind}:
        return "tls"
    if user_kind in _IN_ONE_CALL or user_call.name in _CALLS:
        return user_kind
    return next(_kinds_of_files(sample, calls), "") or user_kind or leaf_kind


def _around(sample: Sample) -> str:
    """Name what is one thing, whatever goes on inside of it; empty for anything else."""
    if IMPORTING in sample.inner:
        return "import"
    if any(name.endswith("asyncio/subprocess.py") for name in sample.inner):
        return "fork"  # already what one should write; starting a process copies page tables
    return "logging" if IN_LOGGING in sample.outer else ""  # in a handler of the user's


def kind_of_call(call: Call) -> str:
    """Name the kind of a resolved call; empty if it is not in the tables."""
    exact = _CALLS.get(call.name)
    if exact is not None:
        return exact
    if call.module in _HARMLESS or call.name.startswith(_IN_MEMORY):
        return ""
    return _MODULES.get(call.module.partition(".")[0], "")


def waiting_kind(sample: Sample, calls: Mapping[Any, Call]) -> str:
    """Name what a thread without CPU waits for: by its innermost call, then the system call."""
    kind = kind_of_call(calls.get(sample.leaf, Call()))
    if kind and kind not in COMPUTING:
        return kind
    if sample.system_call is None:
        return ""
    return _NAMES_OF_THIS_MACHINE.get(sample.system_call, "")


def libraries(filenames: Sequence[str]) -> tuple[str, ...]:
    """Name the packages that files belong to, each once and in this order."""
    found = (_INSTALLED.search(name.replace("\\", "/")) for name in filenames)
    return tuple(dict.fromkeys(match[1] for match in found if match))[:_MAX_LIBRARIES]


def is_building(filenames: Sequence[str]) -> bool:
    """Tell whether frames of these files build the schema of a model, which is done once."""
    return any(mark in name.replace("\\", "/") for name in filenames for mark in _BUILDING)


def _kinds_of_files(sample: Sample, calls: Mapping[Any, Call]) -> Iterator[str]:
    for filename in sample.inner:
        name = filename.replace("\\", "/")
        if any(mark in name for mark in _ASYNC_PARTS):
            continue
        if any(mark in name for mark in _DATABASE_FILES):
            yield "db"
        if "/sqlalchemy/" in name:
            # A synchronous driver shows as such; all else here is work on rows and objects.
            yield "db" if kind_of_call(calls.get(sample.leaf, Call())) == "db" else "rows"
        for kind, marks in _FILES:
            if any(mark in name for mark in marks):
                yield kind
