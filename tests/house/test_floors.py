"""A file imports only from lower floors; folders on one floor never import each other; nothing runs in a circle."""

from graphlib import TopologicalSorter

from tests.house.source import Module, modules, of_every_module

# Files on floors 1 and 6 stand on each other in the order given; folders on the other floors do not.
ORDER = [
    ["errors", "launch"],
    ["trust"],
    ["shapes", "rng", "threads", "memory", "files", "reading", "weighing", "processes", "showing"],
    ["arguments", "classes"],
    ["networks", "distributions", "data", "trace"],
    ["posteriors", "priors", "likelihoods", "objectives", "training", "evaluation", "latents"],
    ["models"],
    ["parts"],
    ["model_config"],
    ["observing"],
    ["composing"],
    ["config"],
    ["recipes"],
    ["store"],
    ["runs"],
    ["samplers"],
    ["report", "explorer", "export", "sklearn"],
    ["cli"],
    ["", "__main__"],  # the package's own __init__ names everything and imports it late
]
FLOOR = {unit: number for number, units in enumerate(ORDER) for unit in units}
FREE = {"reparam.__version__"}
MODULES = modules()
NAMES = {module.name for module in MODULES}


def unit_of(dotted: str) -> str:
    """The folder or file an imported name lives in; names of the package's ``__init__`` live in ``""``."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else ""


@of_every_module
def test_every_file_is_on_a_floor(module: Module) -> None:
    assert module.unit in FLOOR, f"{module.path} is on no floor: give it one in this test and in docs/design.md"


@of_every_module
def test_imports_go_down(module: Module) -> None:
    here = FLOOR[module.unit]
    wrong = [
        name for name in sorted(module.imports - FREE) if unit_of(name) != module.unit and FLOOR[unit_of(name)] >= here
    ]
    assert not wrong, f"{module.name} imports {', '.join(wrong)}, which is not below it"


def file_of(dotted: str) -> str:
    """The module an imported name comes from: ``reparam.data.records.Split`` -> ``reparam.data.records``."""
    while dotted not in NAMES:
        dotted = dotted.rpartition(".")[0]
    return dotted


def test_no_import_circle() -> None:
    graph = {
        module.name: {file_of(name) for name in module.imports} - {"reparam"}
        for module in MODULES
        if module.name != "reparam"
    }
    TopologicalSorter(graph).prepare()  # names the files of a circle in its error
