"""``python -m fastapi_diagnostics``: print rules, write or check the generated pages."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fastapi_diagnostics.outputs.docs import rule_page, rules_index, settings_page
from fastapi_diagnostics.rules.catalogue import all_rules
from fastapi_diagnostics.settings import Settings, declarations


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m fastapi_diagnostics")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("rules", help="list the rules")
    one = commands.add_parser("rule", help="print the page of a rule")
    one.add_argument("code")
    pages = commands.add_parser("pages", help="write the generated pages below docs/")
    pages.add_argument("--check", action="store_true", help="only tell whether they are fresh")
    pages.add_argument("--docs", type=Path, default=Path("docs"))
    chosen = parser.parse_args(arguments)
    if chosen.command == "rules":
        return _list_rules()
    if chosen.command == "rule":
        return _print_rule(chosen.code)
    return _pages(chosen.docs, check=chosen.check)


def generated_pages(docs: Path) -> dict[Path, str]:
    """Give the text of every generated page by its path."""
    rules = [loaded.rule for loaded in all_rules()]
    defaults = Settings()
    pages = {docs / "rules" / f"{rule.code}.md": rule_page(rule) for rule in rules}
    pages[docs / "rules" / "README.md"] = rules_index(rules)
    pages[docs / "settings.md"] = settings_page(
        declarations(), {name: getattr(defaults, name) for name in Settings.__struct_fields__}
    )
    return pages


def _list_rules() -> int:
    for loaded in all_rules():
        print(f"{loaded.rule.code}  {loaded.rule.name:32} {loaded.rule.title}")  # noqa: T201
    return 0


def _print_rule(code: str) -> int:
    for loaded in all_rules():
        if code.upper() == loaded.rule.code or code == loaded.rule.name:
            print(rule_page(loaded.rule))  # noqa: T201
            return 0
    print(f"There is no rule {code!r}; `rules` lists them.", file=sys.stderr)  # noqa: T201
    return 1


def _pages(docs: Path, *, check: bool) -> int:
    wanted = generated_pages(docs)
    present = set((docs / "rules").glob("*.md"))
    stale = [path for path, text in wanted.items() if not _holds(path, text)]
    stale += sorted(present - set(wanted))
    if not check:
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for path in present - set(wanted):
            path.unlink()
        return 0
    for path in stale:
        print(f"stale: {path}; run python -m fastapi_diagnostics pages", file=sys.stderr)  # noqa: T201
    return 1 if stale else 0


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
