"""A training from Python that ends before its plan, cannot begin, or is watched."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from reparam import showing
from reparam.errors import PartError, RefusedError
from reparam.recipes import build
from reparam.rng import reseed
from reparam.runs import Run, fit, resume
from reparam.store import load
from tests.contracts.members import tiny_data
from tests.training.trained import equal, timeless, weights

TRAIN: dict[str, Any] = {"batch_size": 8, "epochs": 4, "validations": 4, "tensorboard": False, "device": "cpu"}
DATA = tiny_data("real", (4,))


def begun(**given: Any) -> Run:
    reseed(0)
    return fit(build("vae", DATA), DATA, **TRAIN | given)


def at(step: int, act: Callable[[], Any]) -> Callable[[dict[str, Any], int], Any]:
    """A progress that acts at the training row of a step."""
    return lambda row, total: act() if (row["step"], row["split"]) == (step, "train") else None


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", [1, 8])
def test_a_run_that_was_asked_to_stop_goes_on_exactly(step: int, tmp_path: Path) -> None:
    """Before the first validation, and after it."""
    whole = begun(out=tmp_path / "whole")
    cut = begun(out=tmp_path / "cut", progress=at(step, lambda: True))
    assert cut.metrics[-1]["step"] == step < whole.metrics[-1]["step"]
    assert not cut.model.training
    again = resume(tmp_path / "cut", data=DATA, device="cpu")
    assert equal(weights(again.model), weights(whole.model))
    assert timeless(again.metrics) == timeless(whole.metrics)


def test_only_true_stops() -> None:
    assert begun(progress=at(1, lambda: np.float64(1) > 0)).metrics[-1]["step"] == 1
    assert begun(progress=at(1, lambda: torch.tensor(1.0) > 0)).metrics[-1]["step"] == 1
    assert begun(progress=lambda row, total: "logged").metrics[-1]["step"] == begun().metrics[-1]["step"]


def test_an_interrupted_model_has_its_best_weights() -> None:
    """Those that a training has that was asked to stop there, whatever the steps since."""
    reseed(0)
    model = build("vae", DATA)
    with pytest.raises(KeyboardInterrupt):
        fit(model, DATA, **TRAIN | {"progress": at(8, interrupt)})
    assert not model.training
    assert equal(weights(model), weights(begun(progress=at(8, lambda: True)).model))


def test_an_interrupted_resume_leaves_the_best_weights(tmp_path: Path) -> None:
    begun(out=tmp_path, progress=at(8, lambda: True))
    best, model = load(tmp_path), build("vae", DATA)
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path, data=DATA, model=model, device="cpu", progress=at(9, interrupt))
    assert not model.training
    assert equal(weights(model), weights(best))


def test_a_frozen_model_is_not_trained() -> None:
    model = build("vae", DATA)
    model.requires_grad_(False)
    with pytest.raises(PartError, match=r"VAE: all of its weights are frozen, so there is nothing to train\. Free"):
        fit(model, DATA, **TRAIN)


def test_gradients_are_switched_on() -> None:
    with torch.no_grad():
        assert equal(weights(begun().model), weights(begun().model))
        assert not torch.is_grad_enabled()
    model = build("vae", DATA)
    with torch.inference_mode(), pytest.raises(RefusedError, match=r"Within torch.inference_mode\(\) nothing can be"):
        fit(model, DATA, **TRAIN)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """A terminal."""
    text = StringIO()
    monkeypatch.setattr(showing, "log_console", lambda: Console(file=text, force_terminal=True, width=100))
    return text


def test_a_terminal_shows_how_far_the_training_has_come(screen: StringIO) -> None:
    begun()
    assert "12/12" in screen.getvalue()
    assert "validation ELBO" in screen.getvalue()


@pytest.mark.parametrize("progress", [False, lambda row, total: None])
def test_silence(progress: Any, screen: StringIO) -> None:
    begun(progress=progress)
    assert not screen.getvalue()


def test_nothing_is_shown_where_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    begun()
    assert capfd.readouterr() == ("", "")


def test_a_training_that_made_the_model_worse_warns() -> None:
    """Its steps are so large that the loss jumps, and every number stays finite."""
    big = {"learning_rate": 1.0, "learning_rate_warmup": 0.0, "schedule": "constant", "ema": 0.0, "epochs": 8}
    with pytest.warns(UserWarning, match="This training made the model worse: the validation ELBO is"):
        begun(**big)
