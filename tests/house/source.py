"""Reads the package's source: its modules, what they import, and their functions."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "reparam"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    path: Path

    @property
    def name(self) -> str:
        """``reparam.data.records``; a folder's ``__init__.py`` has the folder's name."""
        parts = self.path.relative_to(PACKAGE.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def unit(self) -> str:
        """The folder or file of the package that it belongs to, ``""`` for the package's own ``__init__``."""
        return (*self.name.split("."), "")[1]

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> frozenset[str]:
        """Everything of the package that it imports, as dotted names, wherever the import stands."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return frozenset(name for name in found if name.split(".")[0] == "reparam")

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node

    def classes(self) -> Iterator[ast.ClassDef]:
        """The public classes at the top of the file."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node

    def where(self, node: ast.stmt | ast.expr) -> str:
        """``data/records.py:12``."""
        return f"{self.path.relative_to(PACKAGE)}:{node.lineno}"


@cache
def modules() -> list[Module]:
    """Every file of the package, read once."""
    return [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]


def without_docstring(node: Function) -> list[ast.stmt]:
    """The statements of a function behind its docstring."""
    return node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body


def project_files() -> list[Path]:
    """The text files that people wrote, all over the repository."""
    folders = ("src", "tests", "docs", "benchmarks", ".ci")
    kinds = {".py", ".md", ".toml", ".yml", ".yaml", ".cff", ".txt", ".css", ".js", ".html", ".sh", ""}
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in folders:
        found.extend(path for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(path for path in found if path.suffix in kinds and "__pycache__" not in path.parts)


def of_every_module(check: Callable[[Module], None]) -> Callable[[], None]:
    """One test of what a check asks of a module, for all modules: it names each that fails."""

    def test() -> None:
        failed = []
        for module in modules():
            try:
                check(module)
            except AssertionError as error:
                failed.append(f"{module.name}: {error}")
        assert not failed, "\n\n".join(failed)

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    return test
