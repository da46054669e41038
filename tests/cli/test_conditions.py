"""Verbs on a model that must be told the class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reparam.cli.items import class_place
from reparam.data import load_data, load_items
from reparam.errors import DataError
from reparam.recipes import build
from reparam.runs import fit
from tests.cli.conftest import Invoke, trained


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny conditional VAE on some digits."""
    return trained(tmp_path_factory.mktemp("runs") / "cvae", "cvae", "--model.latent_dim=3")


def test_sample_makes_each_class_in_turn_or_one(invoke: Invoke, told: Path, tmp_path: Path) -> None:
    words = ("sample", told, "-n", 20, "--out", tmp_path / "x.npz")
    assert invoke(*words).code == 0
    assert np.load(tmp_path / "x.npz")["x"].shape == (20, 1, 8, 8)
    answer = invoke(*words, "--label", "7", "--json")
    assert answer.json["label"] == "7"
    assert invoke("sample", told, "--sampler", "gmm", "--label", "7", "--out", tmp_path / "g.npz").code == 0


@pytest.mark.parametrize("out", ["more.npz", "more.csv", "more"])
def test_samples_are_data_with_labels(invoke: Invoke, told: Path, tmp_path: Path, out: str) -> None:
    assert invoke("sample", told, "-n", 25, "--out", tmp_path / out).code == 0
    made = load_items(str(tmp_path / out))
    assert made.spec.classes == tuple("0123456789")
    assert made.labels is not None
    assert sorted(made.labels.tolist()) == sorted(n % 10 for n in range(25))
    assert invoke("sample", told, "-n", 3, "--label", "7", "--out", tmp_path / "seven.npz").code == 0
    assert np.load(tmp_path / "seven.npz")["label"].tolist() == ["7", "7", "7"]


def test_every_verb_tells_the_model(invoke: Invoke, told: Path, tmp_path: Path) -> None:
    assert invoke("evaluate", told, "--samples", 3, "--limit", 8).code == 0
    assert invoke("score", told, "digits", "--samples", 2, "--top", 3).code == 0
    assert invoke("encode", told, "digits", "--out", tmp_path / "z.npz").code == 0
    assert invoke("reconstruct", told, "digits", "--out", tmp_path / "r.npz").code == 0
    assert invoke("interpolate", told, 0, "class:3", "--out", tmp_path / "i.npz").code == 0
    assert invoke("traverse", told, "--item", 2, "--out", tmp_path / "t.npz").code == 0
    held, other = tmp_path / "held.npz", tmp_path / "other.npz"
    assert invoke("traverse", told, "--label", "4", "--out", held).code == 0
    assert invoke("traverse", told, "--label", "1", "--out", other).code == 0
    assert not np.allclose(np.load(held)["x"], np.load(other)["x"])


@pytest.mark.usefixtures("sketched")
def test_report_shows_samples_of_each_class(invoke: Invoke, told: Path) -> None:
    assert invoke("report", told).code == 0
    assert (told / "figures" / "classes.png").stat().st_size > 1000
    assert "One row for each class." in (told / "report.html").read_text(encoding="utf-8")
    assert "one row for each class the model is told" in (told / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("sample", "--label", "seven"), 1, "There is no class 'seven'"),
        (("traverse",), 2, "This model must be told labels. Give --label NAME, or an item of the data with --item."),
    ],
)
def test_refuses(invoke: Invoke, told: Path, words: tuple[str, ...], code: int, said: str) -> None:
    answer = invoke(words[0], told, *words[1:])
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_refuses_a_class_for_a_model_that_is_told_none(invoke: Invoke, vae: Path) -> None:
    answer = invoke("sample", vae, "--label", "7")
    assert answer.code == 2
    assert "--label 7: this model is not told classes. Train one that is, such as 'cvae'." in answer.err


def test_classify(invoke: Invoke, told: Path, vae: Path, tmp_path: Path) -> None:
    words = ("classify", told, "digits", "--samples", 2, "--out", tmp_path / "classes.npz")
    answer = invoke(*words, "--json").json
    columns = np.load(tmp_path / "classes.npz")
    assert answer["n"] == len(columns["answer"]) == 1797
    total = sum(columns[f"p({digit})"] for digit in range(10))
    assert np.allclose(total, 1)
    assert answer["accuracy"] == np.mean(columns["answer"] == columns["label"])
    assert "as labelled: 0 " in invoke(*words).out
    refused = invoke("classify", vae, "digits")
    assert refused.code == 1
    assert "this model is not told the class. Train one that is, such as 'cvae', or one of several" in refused.err


def test_a_class_by_its_name_or_where_none_is_called_by_a_number_by_its_place() -> None:
    data = load_data((torch.randn(30, 3), ["cat", "dog", "owl"] * 10))
    run = fit(build("cvae", data), data, epochs=1, device="cpu")
    assert [class_place(run, label) for label in ("dog", "2")] == [1, 2]
    with pytest.raises(DataError, match="There is no class '3'"):
        class_place(run, "3")
    run.spec = replace(run.spec, classes=("1", "2", "3"))
    assert class_place(run, "1") == 0
    with pytest.raises(DataError, match="There is no class '0'"):
        class_place(run, "0")
