"""Data of other classes than a model's: by name where all are known, else refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reparam.data import Data, load_data
from reparam.errors import DataError
from reparam.evaluation import evaluate
from reparam.recipes import build
from reparam.runs import fit, resume
from reparam.runs.settings import own_data

NAMES = ("ant", "bee", "cat", "dog")
X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


def labelled(*names: Any) -> Data:
    return load_data((X, list(names) * (len(X) // len(names))))


def table(path: Path, *names: str) -> Path:
    rows = [",".join(map(str, (*x, names[i % len(names)]))) for i, x in enumerate(X)]
    path.write_text("\n".join(["a,b,c,label", *rows]))
    return path


@pytest.mark.parametrize("recipe", ["cvae", "m2"])
def test_fit_finds_classes_by_name(recipe: str) -> None:
    vae, data = build(recipe, labelled(*NAMES), latent_dim=2), labelled("dog", "bee")
    run = fit(vae, data, epochs=1, device="cpu")
    assert run.data is not None
    assert run.spec.classes == run.class_names == NAMES
    for name in ("train", "validation", "test"):
        found, own = run.data.split(name).labels, data.split(name).labels
        assert found is not None
        assert torch.equal(found, torch.tensor([1, 3])[own])  # bee, dog


def test_evaluate_finds_classes_by_name() -> None:
    whole, some = labelled(*NAMES), labelled("dog", "bee")
    vae = build("cvae", whole, latent_dim=2)
    named = load_data((X, ["dog", "bee"] * 20), spec=whole.spec)
    assert evaluate(vae, some.test, "elbo") == evaluate(vae, named.test, "elbo")


def test_numbers_that_are_no_names_are_places() -> None:
    vae = build("cvae", labelled(*NAMES), latent_dim=2)
    run = fit(vae, labelled(3, 0), epochs=1, device="cpu")
    assert run.data is not None
    assert run.data.train.labels is not None
    assert set(run.data.train.labels.tolist()) == {0, 3}


def test_a_class_that_is_none_of_the_models_is_refused() -> None:
    vae, data = build("cvae", labelled(*NAMES), latent_dim=2), labelled("dog", "cats")
    for ask in (lambda: fit(vae, data, epochs=1), lambda: evaluate(vae, data.train, "elbo")):
        with pytest.raises(DataError, match=r"has the class 'cats', which is none of the model's\. Did you mean 'cat'"):
            ask()


def test_numbers_that_could_be_names_are_no_places() -> None:
    vae = build("cvae", labelled(5, 6, 7, 8), latent_dim=2)
    for data in (labelled(0, 1, 2, 3), labelled(0, 5)):
        with pytest.raises(DataError, match="has the class '0', which is none of the model's"):
            fit(vae, data, epochs=1, device="cpu")
    one = labelled(0, 1)
    with pytest.raises(DataError, match="has the class '0'"):
        evaluate(vae, one.train.take(slice(0, 5)), "elbo")


@pytest.mark.parametrize("name", ["-1", "nan"])
def test_a_run_of_which_labels_that_are_not_known_were_a_class_goes_on(tmp_path: Path, name: str) -> None:
    """As it began: with that class."""
    path = table(tmp_path / "data.csv", "7", "2", "3", "1")
    run = fit(build("cvae", path, latent_dim=2), path, epochs=1, out=tmp_path / "run", device="cpu")
    classes = tuple(name if one == "7" else one for one in run.spec.classes)
    table(path, name if name == "-1" else "", "2", "3", "1")
    found = own_data(run.config, replace(run.spec, classes=classes))
    assert found.spec.classes == classes
    assert found.train.labels is not None
    assert run.data is not None
    assert run.data.train.labels is not None
    assert torch.equal(found.train.labels, run.data.train.labels)


def test_models_that_are_told_no_class_take_any() -> None:
    vae, data = build("vae", labelled(*NAMES), latent_dim=2), labelled("eel", "fox")
    assert fit(vae, data, epochs=1, device="cpu").spec.classes == ("eel", "fox")


def test_a_run_on_some_of_the_classes_goes_on(tmp_path: Path) -> None:
    path = table(tmp_path / "some.csv", "dog", "bee")
    vae = build("cvae", table(tmp_path / "all.csv", *NAMES), latent_dim=2)
    fit(vae, path, epochs=1, out=tmp_path / "run", device="cpu")
    run = resume(tmp_path / "run", epochs=2, device="cpu")
    assert run.class_names == run.model.class_names == NAMES
    with pytest.raises(DataError, match="These are not the run's data: their classes"):
        resume(tmp_path / "run", epochs=3, data=table(tmp_path / "other.csv", "eel", "fox"), device="cpu")
