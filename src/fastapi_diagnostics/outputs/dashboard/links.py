"""Builds every URL of the pages, below whatever prefix and root path they are served."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode

from starlette.types import Scope

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.editors import editor_template
from fastapi_diagnostics.outputs.backend import Backend
from fastapi_diagnostics.outputs.dashboard.assets import static_files


class Links:
    """URLs for one request of a page.

    Args:
        base: Path of the pages as the browser sees it, without a trailing slash.
        editor: A known name, or a link with ``{file}`` and ``{line}``; `None` for no links.
        path_map: Folders here and on the machine of the editor.
    """

    def __init__(
        self, base: str, editor: str | None = None, path_map: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.base = quote(base, safe="/~")
        self._editor = editor_template(editor)
        self._path_map = tuple(path_map)

    def page(self, path: str, **query: str | None) -> str:
        """Link a page by its path below the prefix, such as ``/queries``."""
        return self._to(path, query)

    def home(self, **query: str | None) -> str:
        """Link the list of findings."""
        return self._to("/", query)

    def finding(self, fingerprint: str, **query: str | None) -> str:
        """Link one finding."""
        return self._to(f"/findings/{quote(fingerprint, safe=':')}", query)

    def requests(self, **query: str | None) -> str:
        """Link the list of requests."""
        return self._to("/requests", query)

    def request(self, record_id: str, **query: str | None) -> str:
        """Link one request."""
        return self._to(f"/requests/{quote(record_id, safe='')}", query)

    def rules(self) -> str:
        """Link the list of rules."""
        return self._to("/rules")

    def rule(self, code: str) -> str:
        """Link one rule."""
        return self._to(f"/rules/{quote(code, safe='')}")

    def status(self) -> str:
        """Link the status page."""
        return self._to("/status")

    def api(self, path: str) -> str:
        """Link a URL of the JSON API, such as ``findings``."""
        return self._to(f"/api/{quote(path, safe=':/')}")

    def static(self, name: str) -> str:
        """Link a static file; its version is part of the URL."""
        return self._to(f"/static/{name}", {"v": static_files()[name].version})

    def editor(self, file: str, line: int) -> str:
        """Link a line in the user's editor; empty without the setting."""
        if not self._editor:
            return ""
        path = USER_CODE.absolute(file).as_posix()
        for here, there in self._path_map:
            folder = here.rstrip("/")
            if path == folder or path.startswith(folder + "/"):
                path = there.rstrip("/") + path[len(folder) :]
                break
        return self._editor.replace("{file}", quote(path)).replace("{line}", str(int(line)))

    def _to(self, path: str, query: dict[str, str | None] | None = None) -> str:
        given = {key: value for key, value in (query or {}).items() if value}
        return f"{self.base}{path}" + (f"?{urlencode(given)}" if given else "")


def links_for(scope: Scope, backend: Backend) -> Links:
    """Make the links for the request of *scope*, wherever the pages are mounted."""
    root = scope.get("root_path", "").rstrip("/")
    base = root if root.endswith(backend.prefix) else root + backend.prefix
    return Links(base, backend.editor, backend.editor_path_map)
