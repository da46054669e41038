"""What the commands say of hostile files: one sentence, and exit code 1 (2 for settings)."""

from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, invoke
from tests.hostile.kit import HOSTILE, laughs, pickled

__all__ = ["invoke"]


@pytest.mark.parametrize("kind", ["pickle", "pickle in npy", "npy of any size", "picture of any size", "zip slip"])
def test_hostile_data(tmp_path: Path, invoke: Invoke, kind: str) -> None:
    name, make, _ = HOSTILE[kind]
    (tmp_path / name).write_bytes(make(tmp_path / "canary"))
    answer = invoke("train", "--data", tmp_path / name, "--out", tmp_path / "run")
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert not (tmp_path / "canary").exists()


def test_hostile_settings(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "c.yaml").write_text(laughs())
    answer = invoke("train", "--config", tmp_path / "c.yaml", "--out", tmp_path / "run")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "aliases are not read" in answer.err


def test_a_network_of_any_size(tmp_path: Path, invoke: Invoke) -> None:
    network = "--model.network={kind: mlp, hidden_dims: [1000000, 1000000]}"
    answer = invoke("train", network, "--out", tmp_path / "run")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "Make its layers fewer or narrower." in answer.err


def test_a_pickle_as_a_run(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "model.pt").write_bytes(pickled(tmp_path / "canary"))
    answer = invoke("sample", tmp_path / "model.pt")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert not (tmp_path / "canary").exists()
