"""The public names are these, and each of them says what it is for."""

import ast
import importlib
import inspect

import pytest

import reparam
from tests.house.source import PACKAGE, Module, of_every_module

PUBLIC = [
    "ELBO",
    "VAE",
    "Bound",
    "Config",
    "Data",
    "DataSpec",
    "Player",
    "Progress",
    "ReparamError",
    "Run",
    "Trace",
    "__version__",
    "build",
    "classify",
    "evaluate",
    "fit",
    "interpolate",
    "load",
    "load_data",
    "log_likelihood",
    "open_run",
    "resume",
    "save",
    "train",
    "traverse",
    "write_report",
]


def test_public_names_are_pinned() -> None:
    assert reparam.__all__ == PUBLIC
    assert len(PUBLIC) < 40


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_there(name: str) -> None:
    assert getattr(reparam, name) is getattr(reparam, name)
    assert name in dir(reparam)


def test_type_checkers_see_the_same_names() -> None:
    block = next(node for node in Module(PACKAGE / "__init__.py").tree.body if isinstance(node, ast.If))
    seen = {
        (node.module, alias.name) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    homes = {(f"reparam.{module}", name) for module, names in reparam._HOMES.items() for name in names}
    assert seen == homes
    assert {name for _, name in seen} | {"__version__"} == set(PUBLIC)


@pytest.mark.parametrize("name", sorted(reparam._HOMES))
def test_module_of_parts_is_there(name: str) -> None:
    assert getattr(reparam, name) is importlib.import_module(f"reparam.{name}")


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'vea'"):
        reparam.vea  # noqa: B018


def undocumented(owner: type, described: set[str]) -> list[str]:
    """Public methods and properties of a class that neither it, nor a base, nor a protocol beside it describes."""
    known = described.union(*(vars(base) for base in owner.__mro__[1:]))
    members = (
        (name, member)
        for name, member in vars(owner).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property | classmethod))
    )
    return [name for name, member in members if name not in known and not inspect.getdoc(member)]


@of_every_module
def test_everything_public_is_documented(source: Module) -> None:
    name = source.name
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is"
    protocols = [value for value in vars(module).values() if getattr(value, "_is_protocol", False)]
    described = {member for protocol in protocols for member in vars(protocol)}
    for label, value in vars(module).items():
        if label.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name}.{label} has no docstring"
        if inspect.isclass(value) and not getattr(value, "_is_protocol", False):
            assert not undocumented(value, described), f"{name}.{label}"
