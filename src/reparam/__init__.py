"""Reparam trains, judges and uses variational autoencoders.

Importing the package is free: torch and the parts are loaded when the first of these names is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reparam.config import Config
    from reparam.data import Data, DataSpec, load_data
    from reparam.errors import ReparamError
    from reparam.evaluation import classify, evaluate, log_likelihood
    from reparam.latents import interpolate, traverse
    from reparam.models import VAE
    from reparam.objectives import ELBO
    from reparam.recipes import build
    from reparam.report import write_report
    from reparam.runs import Run, fit, open_run, resume, train
    from reparam.store import load, save
    from reparam.trace import Bound, Player, Progress, Trace

    __version__: str

__all__ = [
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

_HOMES = {
    "config": ("Config",),
    "data": ("Data", "DataSpec", "load_data"),
    "distributions": (),
    "errors": ("ReparamError",),
    "evaluation": ("classify", "evaluate", "log_likelihood"),
    "files": (),
    "latents": ("interpolate", "traverse"),
    "likelihoods": (),
    "models": ("VAE",),
    "networks": (),
    "objectives": ("ELBO",),
    "posteriors": (),
    "priors": (),
    "recipes": ("build",),
    "report": ("write_report",),
    "rng": (),
    "runs": ("Run", "fit", "open_run", "resume", "train"),
    "samplers": (),
    "shapes": (),
    "store": ("load", "save"),
    "threads": (),
    "trace": ("Bound", "Player", "Progress", "Trace"),
    "training": (),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # a type checker should miss a misspelt name

    def __getattr__(name: str) -> object:
        """Loads a public name, or a module of parts, when it is first asked for."""
        if name == "__version__":
            from importlib.metadata import version

            value: object = version("reparam")
        elif name in _HOME_OF:
            value = getattr(import_module(f"reparam.{_HOME_OF[name]}"), name)
        elif name in _HOMES:
            value = import_module(f"reparam.{name}")
        else:
            raise AttributeError(f"module 'reparam' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """The public names and the modules of parts."""
    return sorted({*__all__, *_HOMES})
