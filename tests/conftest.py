"""What holds for every test: one thread each, no network, no screen; calls of parts have their shapes checked."""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import config, install_import_hook
from shape_checks import spare_the_others

install_import_hook("reparam", "shape_checks.checked")

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

# Folders whose tests call parts: there every call is held to the shapes of its signature. Whole trainings, whose time
# the checks would double, run without; so do single tests that are marked "unchecked".
CHECKED = {
    "contracts",
    "distributions",
    "evaluation",
    "latents",
    "likelihoods",
    "models",
    "networks",
    "objectives",
    "oracles",
}


gc.disable()  # until all tests are known: nothing that collecting makes is garbage


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Keeps functions without shapes out of the checks, and modules and tests out of later searches for garbage."""
    spare_the_others()
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Switches the checks on or off, before the fixtures of a test are made."""
    whole = item.path.parent.name not in CHECKED or item.get_closest_marker("unchecked") is not None
    config.update("jaxtyping_disable", whole)


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Lets tests reach this machine and nothing else."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise RuntimeError(f"a test tried to reach {address!r}; tests use no network")
        connect(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a report's plots together but leaves out the slow part, the pixels; test_plots.py makes those."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from reparam.report import plots
    from reparam.report.images import image_grid
    from reparam.report.theme import LIGHT, Picture

    dot = image_grid(torch.zeros(1, 1, 1, 1, 1)).light

    def sketch(draw: Callable[[Any], Any], width: float, height: float) -> Picture:
        draw(LIGHT)
        return Picture(dot, dot, round(width), round(height))

    monkeypatch.setattr(plots, "in_both", sketch)
    monkeypatch.setattr(plots, "_small_png", lambda picture: dot)
    monkeypatch.setattr(FigureCanvasAgg, "draw", FigureCanvasAgg.get_renderer)
