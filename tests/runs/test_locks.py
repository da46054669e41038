"""Two trainings never share a folder, and a lock dies with its process."""

import os
import signal
from pathlib import Path

import pytest

from reparam.errors import RunError
from reparam.files import locked
from reparam.runs import resume, train
from tests.contracts.members import tiny_data

OVER = {"train": {"epochs": 1, "tensorboard": False}}


def test_the_second_one_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RunError, match="Another process is training in"):
        train("sigma-vae", OVER, data=tiny_data("real", (4,)), out=tmp_path, device="cpu")
    assert not (tmp_path / "config.yaml").exists()
    train("sigma-vae", OVER, data=tiny_data("real", (4,)), out=tmp_path, device="cpu")
    with locked(tmp_path), pytest.raises(RunError, match="Wait for its end, or give another --out"):
        resume(tmp_path, epochs=2, data=tiny_data("real", (4,)), device="cpu")


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with locked(tmp_path):
            os.write(writing, b"!")
            signal.pause()
    os.read(reading, 1)
    with pytest.raises(RunError), locked(tmp_path):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with locked(tmp_path):
        pass


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    """All that is there is config.yaml, which is written first."""
    first = train("vae", OVER | {"seed": 3}, out=tmp_path / "whole", device="cpu")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "config.yaml").write_bytes((tmp_path / "whole" / "config.yaml").read_bytes())
    again = resume(tmp_path / "cut", device="cpu")
    assert [row["loss"] for row in again.metrics] == [row["loss"] for row in first.metrics]
