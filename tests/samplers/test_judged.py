"""Samples of a sampler are judged like those of the prior, and kept apart from them."""

import json
from pathlib import Path

import pytest
import torch

from reparam.errors import RefusedError
from reparam.rng import reseed
from reparam.runs import open_run, train
from reparam.samplers import sampler_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("judged") / "ae"
    settings = {"data": {"limit": 120}, "train": {"epochs": 4, "tensorboard": False}}
    train("ae", settings, out=path, device="cpu")
    return path


def test_a_model_without_a_prior_has_samples_to_judge(folder: Path) -> None:
    run = open_run(folder, "cpu")
    with pytest.raises(RefusedError, match="has no prior"):
        run.evaluate(metrics=["completeness"])
    run.evaluate(metrics=["reconstruction"])
    found = run.evaluate(metrics=["completeness"], sampler=sampler_of(run, "gmm"))
    assert found["sampler"] == "gmm"
    assert 0 <= found["completeness"] <= 1
    kept = json.loads((folder / "evaluation.json").read_text())
    assert kept["samplers"]["gmm"]["completeness"] == found["completeness"]
    assert "completeness" not in kept
    assert "mse" in kept
    assert run.evaluate(metrics=["reconstruction"], limit=10)["n"] == 10
    assert "gmm" in run.evaluation["samplers"]


def test_draws_differ_and_follow_the_generator(folder: Path) -> None:
    _, make = sampler_of(open_run(folder, "cpu"), "gmm")
    reseed(0)
    first, second = make(4), make(4)
    reseed(0)
    assert torch.equal(make(4), first)
    assert not torch.equal(first, second)
