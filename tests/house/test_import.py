"""Importing the package, or asking for help, costs next to nothing and changes nothing for the importer."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "pandas", "sklearn", "scipy", "matplotlib", "torchmetrics", "tensorboard")


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import reparam; dir(reparam); reparam.__all__",
        "import reparam; reparam.__version__",
        "import reparam.cli",
        "import sys; sys.argv = ['reparam', '--help']\n"
        "from reparam.cli import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code",
        "import sys; sys.argv = ['reparam', '--version']\n"
        "from reparam.cli import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code",
    ],
    ids=["import", "version", "cli", "--help", "--version"],
)
def test_loads_nothing_heavy(code: str) -> None:
    out = run(
        f"{code}\nimport sys\nprint('loaded:', *({HEAVY!r} & sys.modules.keys()))".replace(
            repr(HEAVY), repr(set(HEAVY))
        )
    )
    assert out.splitlines()[-1].split() == ["loaded:"]


GLOBAL_STATE = """
import importlib, logging, os, pkgutil, random, warnings
import cyclopts, jaxtyping, numpy, PIL.Image, pydantic, safetensors.torch, torch, yaml
import rich.console, rich.progress, rich.table, torch.utils.data, torch.distributions
for optional in ("matplotlib.figure", "pandas", "scipy.stats", "sklearn.base", "torchmetrics"):
    try:
        importlib.import_module(optional)
    except ImportError:
        pass

def state():
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch's generator": torch.random.get_rng_state().tolist(),
        "numpy's generator": numpy.random.get_state()[1].tolist(),
        "python's generator": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
        "anomaly mode": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "validate args": torch.distributions.Distribution._validate_args,
        "warning filters": list(warnings.filters),
        "log handlers": list(logging.root.handlers),
        "log level": logging.root.level,
        "environment": dict(os.environ),
        "numpy's errors": numpy.geterr(),
        "largest image": PIL.Image.MAX_IMAGE_PIXELS,
    }

before = state()
import reparam
for info in pkgutil.walk_packages(reparam.__path__, "reparam."):
    importlib.import_module(info.name)
after = state()
for key in before:
    if before[key] != after[key]:
        print("changed:", key)
"""


@pytest.mark.slow
def test_changes_nothing_global() -> None:
    assert run(GLOBAL_STATE) == ""
