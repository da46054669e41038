"""Files, functions and constructors stay small enough to be read in one sitting."""

import ast
import statistics

from tests.house.source import Function, Module, modules, of_every_module, without_docstring

MODULES = modules()
PARTS = {"networks", "distributions", "posteriors", "priors", "likelihoods", "objectives", "models"}


def length(node: Function) -> int:
    """Lines of a function: its signature and its body, not its docstring."""
    body = without_docstring(node)
    docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if len(body) < len(node.body) else 0
    return node.end_lineno - node.lineno + 1 - docstring


@of_every_module
def test_file_under_400_lines(module: Module) -> None:
    assert len(module.text.splitlines()) < 400


def test_functions_are_short() -> None:
    lengths = sorted(length(function) for module in MODULES for function in module.functions())
    assert statistics.median(lengths) <= 10
    assert lengths[int(0.95 * len(lengths))] <= 45


def constructor_arguments(node: ast.ClassDef) -> int:
    """How many arguments one writes to build it: of ``__init__``, or the fields of a dataclass."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return len(item.args.posonlyargs) + len(item.args.args) - 1 + len(item.args.kwonlyargs)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return sum(isinstance(item, ast.AnnAssign) for item in node.body)
    return 0


def test_parts_take_at_most_8_arguments() -> None:
    many = {
        f"{module.where(node)} {node.name}": constructor_arguments(node)
        for module in MODULES
        if module.unit in PARTS
        for node in module.classes()
        if constructor_arguments(node) > 8
    }
    assert not many
