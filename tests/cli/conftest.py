"""One tiny run, trained once, and a way to run a command in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reparam.cli import run

SMALL = [
    "--data.limit=40",
    "--model.network={kind: mlp, hidden_dims: [16]}",
    "--train.validations=2",
    "--train.tensorboard=false",
    "--device=cpu",
]


@dataclass(frozen=True)
class Answer:
    """What a command did: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be one JSON object without NaN, and nothing else."""

        def refused(name: str) -> None:
            raise AssertionError(f"{name} in the JSON")

        return json.loads(self.out, parse_constant=refused)


Invoke = Callable[..., Answer]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    """Runs a command."""

    def invoked(*words: object) -> Answer:
        capsys.readouterr()
        code = run([str(word) for word in words])
        return Answer(code, *capsys.readouterr())

    return invoked


def trained(folder: Path, recipe: str, *words: str) -> Path:
    """A run folder."""
    assert run(["train", recipe, "--epochs=2", "--no-report", f"--out={folder}", *SMALL, *words]) == 0
    return folder


@pytest.fixture(scope="session")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny VAE on some digits. Tests only add files of their own to it."""
    return trained(tmp_path_factory.mktemp("runs") / "vae", "vae", "--model.latent_dim=3")


@pytest.fixture(scope="session")
def ae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny plain autoencoder."""
    return trained(tmp_path_factory.mktemp("runs") / "ae", "ae")


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny VAE on a table of real numbers, and the table."""
    folder = tmp_path_factory.mktemp("table")
    source = folder / "heights.csv"
    rows = [f"{0.1 * n:.1f},{n % 7},{-n}" for n in range(30)]
    source.write_text("\n".join(["width,height,depth", *rows]) + "\n")
    return trained(folder / "run", "sigma-vae", f"--data={source}"), source
