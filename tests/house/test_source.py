"""What no file of the package, or of the repository, may contain."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.house.source import ROOT, Function, Module, modules, of_every_module, project_files, without_docstring

MODULES = modules()


def calls(module: Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the name of what is called, ``torch.load``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@of_every_module
def test_print_belongs_to_the_commands(module: Module) -> None:
    printed = [module.where(node) for name, node in calls(module) if name == "print"]
    assert module.unit == "cli" or not printed


@of_every_module
def test_no_model_is_asked_for_its_class(module: Module) -> None:
    asked = [
        module.where(node)
        for name, node in calls(module)
        if name == "isinstance"
        and re.fullmatch(r"(\w+\.)*_?model", ast.unparse(node.args[0]))
        and not re.fullmatch(r"dict|Mapping|str", ast.unparse(node.args[1]))  # a section of a configuration
    ]
    assert module.unit in ("store", "config") or not asked


RUNS_CODE = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"}
UNPICKLES = {"torch.load", "torch.save", "torch.jit.load", "pandas.read_pickle", "pd.read_pickle", "scipy.io.loadmat"}
EVALUATES = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
UNSAFE_YAML = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"}


@of_every_module
def test_opening_a_file_never_runs_code(module: Module) -> None:
    """Weights are safetensors, arrays are read without pickle, YAML by the safe loader, and no text is evaluated."""
    imports = [node for node in ast.walk(module.tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in imports
        for alias in node.names
    }
    assert not names & RUNS_CODE
    bare = {
        f"{node.module}.{alias.name}" for node in imports if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    banned = UNPICKLES | EVALUATES | UNSAFE_YAML
    assert not bare & (banned | {"numpy.load"})
    assert not [module.where(node) for name, node in calls(module) if name in banned]


@of_every_module
def test_arrays_are_read_without_pickle(module: Module) -> None:
    said = {
        module.where(node): {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        for name, node in calls(module)
        if name in ("np.load", "numpy.load") or any(keyword.arg == "allow_pickle" for keyword in node.keywords)
    }
    assert not [where for where, keywords in said.items() if keywords.get("allow_pickle") != "False"]


# Files whose checksum is known, and pictures that we made.
KNOWN_PICTURES = ("reparam.data.pictures", "reparam.report.page")


@of_every_module
def test_pictures_are_opened_in_known_formats_only(module: Module) -> None:
    """Pillow would hand PostScript to an interpreter, whatever the file is called."""
    opened = [node for name, node in calls(module) if name == "Image.open" and module.name not in KNOWN_PICTURES]
    free = [module.where(node) for node in opened if not any(keyword.arg == "formats" for keyword in node.keywords)]
    assert not free


@of_every_module
def test_assert_is_not_for_users(module: Module) -> None:
    """An ``assert`` says what can never be; one that has a message speaks to somebody, who should get an error."""
    spoken = [module.where(node) for node in ast.walk(module.tree) if isinstance(node, ast.Assert) and node.msg]
    assert not spoken


@of_every_module
def test_shapes_are_annotations_not_strings(module: Module) -> None:
    """``from __future__ import annotations`` beside jaxtyping would switch the check of shapes off."""
    future = "from __future__ import annotations" in module.text
    assert not (future and re.search(r"^from jaxtyping import", module.text, flags=re.MULTILINE))


def stores_arguments(body: list[ast.stmt]) -> bool:
    """True for a constructor that passes arguments on and keeps them, and does nothing else."""
    return all(
        (isinstance(node, ast.Expr) and ast.unparse(node).startswith("super().__init__("))
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).lstrip("(").startswith("self."))
        for node in body
    )


def test_no_two_functions_have_the_same_body() -> None:
    seen: dict[str, list[str]] = defaultdict(list)
    for module in MODULES:
        for function in module.functions():
            body = without_docstring(function)
            statements = sum(isinstance(node, ast.stmt) for statement in body for node in ast.walk(statement))
            if statements > 1 and not stores_arguments(body):
                seen["\n".join(map(ast.dump, body))].append(f"{module.where(function)} {function.name}")
    assert not [places for places in seen.values() if len(places) > 1]


def arguments(function: Function) -> list[ast.arg]:
    """Every argument of a function, in order."""
    given = function.args
    rest = [arg for arg in (given.vararg, given.kwarg) if arg]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]


@of_every_module
def test_signatures_are_complete(module: Module) -> None:
    bare = [
        f"{module.where(function)} {function.name}({arg.arg})"
        for function in module.functions()
        for arg in arguments(function)
        if arg.annotation is None and arg.arg not in ("self", "cls")
    ]
    assert not bare


# Spelled in two halves, so that this file keeps its own rule.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(wo" + r"rk|ro" + r"ot|ho" + r"me|Us" + r"ers)/\w")
REGISTRY = re.compile(
    "|".join(
        [r"pypi" + r"\.org", r"python" + r"hosted", r"download\.py" + r"torch", r"index" + r"-url", "find" + "-links"]
    )
)


@pytest.mark.parametrize("pattern", [UNFINISHED, MACHINE_PATH, REGISTRY], ids=["unfinished", "path", "registry"])
def test_no_file_contains(pattern: re.Pattern[str]) -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}": line
        for path in project_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    }
    assert not found
