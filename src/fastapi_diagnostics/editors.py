"""Links that open a file at a line in an editor."""

from typing import Final

EDITORS: Final = {
    "vscode": "vscode://file/{file}:{line}",
    "vscode-insiders": "vscode-insiders://file/{file}:{line}",
    "vscodium": "vscodium://file/{file}:{line}",
    "cursor": "cursor://file/{file}:{line}",
    "windsurf": "windsurf://file/{file}:{line}",
    "zed": "zed://file/{file}:{line}",
    "pycharm": "pycharm://open?file={file}&line={line}",
    "idea": "idea://open?file={file}&line={line}",
    "sublime": "subl://open?url=file://{file}&line={line}",
    "textmate": "txmt://open?url=file://{file}&line={line}",
    "emacs": "emacs://open?url=file://{file}&line={line}",
}
"""By the name that the setting `editor` may give."""
_REFUSED_SCHEMES: Final = frozenset({"javascript", "data", "vbscript", "blob"})


def editor_template(editor: str | None) -> str:
    """Give the link that an editor is opened with; empty where it cannot be one.

    Args:
        editor: A known name, or a link with ``{file}`` and ``{line}``.
    """
    template = EDITORS.get((editor or "").lower(), editor or "")
    scheme = template.partition(":")[0].strip().lower()
    if "{file}" not in template or scheme in _REFUSED_SCHEMES or not scheme.isascii():
        return ""
    return template if scheme.replace("-", "").replace("+", "").isalnum() else ""
