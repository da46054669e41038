"""Samples over a training: kept at each validation, shown by the report."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from reparam.report import write_report
from reparam.runs import Run, frames, open_run, train
from reparam.runs.film import Film
from tests.contracts.members import tiny_data

SETTINGS: dict[str, Any] = {"train": {"batch_size": 8, "epochs": 2, "validations": 3, "tensorboard": False}}


def played(folder: Path, recipe: str, kind: str = "unit", shape: tuple[int, ...] = (1, 16, 16)) -> Run:
    return train(recipe, SETTINGS, data=tiny_data(kind, shape), out=folder, device="cpu")


@pytest.mark.usefixtures("sketched")
def test_frames_follow_the_validations_and_the_report_shows_them(tmp_path: Path) -> None:
    run = played(tmp_path / "run", "vae-gan")
    steps, pictures = frames(tmp_path / "run", run.spec)
    assert steps == [row["step"] for row in run.metrics if row["split"] == "validation"]
    assert pictures.shape == (len(steps), 10, 1, 16, 16)
    assert 0 <= pictures.min() < pictures.max() <= 1
    path = write_report(run)
    assert path is not None
    page = path.read_text(encoding="utf-8")
    assert "Samples over the training" in page
    assert "Accuracy of the critic" in page
    with Image.open(tmp_path / "run" / "figures" / "film.gif") as film:
        assert film.n_frames == len(steps)  # type: ignore[attr-defined]


def test_the_newest_weights_are_kept(tmp_path: Path) -> None:
    """Whatever the terms say: those of the last validation."""
    run = played(tmp_path / "run", "gan")
    last = open_run(tmp_path / "run").model.state_dict()
    assert all(torch.equal(value, last[name]) for name, value in run.model.state_dict().items())
    steps, pictures = frames(tmp_path / "run", run.spec)
    Film(run.model, run.spec, tmp_path / "again").keep(steps[-1])
    assert torch.equal(frames(tmp_path / "again", run.spec)[1][0], pictures[-1])


def test_what_is_no_frame_is_left_out(tmp_path: Path) -> None:
    run = played(tmp_path / "run", "gan")
    found = frames(tmp_path / "run", run.spec)[0]
    (tmp_path / "run" / "film" / "000000099.safetensors").write_bytes(b"not one")
    assert frames(tmp_path / "run", run.spec)[0] == found
    other = tiny_data("unit", (1, 8, 8)).spec
    assert frames(tmp_path / "run", other)[0] == []


def test_tables_have_no_film(tmp_path: Path) -> None:
    played(tmp_path / "run", "gan", "real", (4,))
    assert not (tmp_path / "run" / "film").exists()


@pytest.mark.slow
def test_what_a_model_is_judged_by(tmp_path: Path) -> None:
    run = played(tmp_path / "run", "gan")
    found = run.evaluate(seed=1)
    assert {"fid", "precision"} <= found.keys() or "fid_refused" in found
    assert "elbo" not in found
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text()) == found
