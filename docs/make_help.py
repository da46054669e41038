"""Writes docs/cli.md from the commands' own help. ``--check`` only says whether the page is up to date."""

import io
import sys
from pathlib import Path

from rich.console import Console

from reparam.cli import app

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Commands

<!-- Made by `make help-pages` from the commands' own help; do not edit. -->

`RUN` is a run folder or a model folder; `SOURCE` is a data name or a path. Exit codes: 0 done, 1 failed, with one clear
line, 2 wrong usage. With `--json` the answer is one JSON object on standard output and nothing else is there; progress
and logs go to standard error.
"""


def help_of(*command: str) -> str:
    """What ``reparam COMMAND --help`` prints, without colours."""
    text = io.StringIO()
    app.help_print(list(command), console=Console(file=text, width=100, color_system=None, legacy_windows=False))
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())


def page() -> str:
    """The whole page."""
    verbs = [name for name in app if not name.startswith("-")]
    parts = [HEAD, f"## reparam\n\n```text\n{help_of()}\n```\n"]
    parts.extend(f"## reparam {verb}\n\n```text\n{help_of(verb)}\n```\n" for verb in verbs)
    return "\n".join(parts)


def main() -> int:
    """Writes the page, or compares."""
    fresh = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(fresh, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == fresh:
        return 0
    print("docs/cli.md differs from the commands' help. Run: make help-pages", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
