"""Settings on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reparam.cli.settings import gathered, nested, origins
from reparam.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["--model.latent_dim", "8"], {"model": {"latent_dim": 8}}),
        (["--model.latent-dim=8"], {"model": {"latent_dim": 8}}),
        (["--model.encoder.channels", "[16,32]"], {"model": {"encoder": {"channels": [16, 32]}}}),
        (["--model.encoder.hidden_dims", "400,400"], {"model": {"encoder": {"hidden_dims": [400, 400]}}}),
        (["--model.likelihood.scale", "learned"], {"model": {"likelihood": {"scale": "learned"}}}),
        (["--objective.beta", "-0.5"], {"objective": {"beta": -0.5}}),
        (["--train.learning_rate", "1e-3"], {"train": {"learning_rate": 1e-3}}),
        (["--train.tensorboard", "false"], {"train": {"tensorboard": False}}),
        (["--train.clip", "null"], {"train": {"clip": None}}),
        (["--data.source=a=b.npz"], {"data": {"source": "a=b.npz"}}),
        (
            ["--model.likelihood", "normal", "--model.likelihood.scale", "1"],
            {"model": {"likelihood": {"kind": "normal", "scale": 1}}},
        ),
        (
            ["--model.likelihood.scale", "1", "--model.likelihood", "normal"],
            {"model": {"likelihood": {"kind": "normal", "scale": 1}}},
        ),
        (["--data.columns", "yes,007"], {"data": {"columns": ["yes", "007"]}}),
        (["--data.columns", "['a,b', c]"], {"data": {"columns": ["a,b", "c"]}}),
        (["--data.label_column", "no"], {"data": {"label_column": "no"}}),
        (["--train.epochs", "2", "--train.epochs", "3"], {"train": {"epochs": 3}}),
    ],
)
def test_dotted_options(words: list[str], settings: dict[str, Any]) -> None:
    tokens = gathered(["train", *words])
    assert tokens[0] == "train"
    assert nested(token.partition("=")[2] for token in tokens[1:]) == settings


def test_other_words_stay() -> None:
    words = ["train", "vae", "--out", "runs/a.b", "--config=c.yaml", "--epochs", "3"]
    assert gathered(words) == words
    assert gathered(["sample", "--model.x", "1"]) == ["sample", "--model.x", "1"]


def test_complaints_name_their_origin() -> None:
    lines = "settings: model.latent_dim: bad\nsettings: train.epochs: bad\nsettings: seed: bad\nother: said"
    with (
        pytest.raises(ConfigError) as found,
        origins({"model": {"latent_dim": 0}, "train": {"epochs": 0}}, Path("c.yaml")),
    ):
        raise ConfigError(lines)
    assert str(found.value).splitlines() == [
        "--model.latent_dim: bad",
        "--epochs: bad",
        "c.yaml: seed: bad",
        "other: said",
    ]
