"""Samples over a training: kept at each validation, shown by the report."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from reparam.data import Data, load_data
from reparam.latents import inverted
from reparam.report import write_report
from reparam.report.images import animated
from reparam.report.page import _figure
from reparam.report.story import Figure
from reparam.rng import reseed, seeded
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
    assert page.count("data:image/gif;base64,") == 1
    assert "Accuracy of the critic" in page
    with Image.open(tmp_path / "run" / "figures" / "film.gif") as film:
        assert film.n_frames == len(steps)  # type: ignore[attr-defined]
        assert f'width="{film.width}" height="{film.height}"' in page


def of_faces() -> Data:
    """Pictures around -3, with two attributes each."""
    with torch.random.fork_rng():
        reseed(0)
        pictures = {"x": torch.randn(40, 1, 16, 16) - 3, "attributes": torch.randn(40, 2)}
    return load_data(pictures)


@pytest.mark.usefixtures("sketched")
def test_real_pictures_of_attributes_have_a_film_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In units of the data, of the attributes of validation items, and shown in the range that the report shows."""
    monkeypatch.setattr("reparam.models.implicit.inverted", partial(inverted, steps=2))
    data = of_faces()
    run = train("cgan", SETTINGS, data=data, out=tmp_path / "run", device="cpu")
    assert run.model.conditions == ("attributes",)
    told = Film(run.model, data, tmp_path / "again").told["attributes"]
    assert told.shape == (10, 2)
    found, own = ({tuple(row.tolist()) for row in rows} for rows in (told, data.validation.named["attributes"]))
    assert found <= own
    assert len(found) == min(10, len(own))
    steps, pictures = frames(tmp_path / "run", run.spec)
    assert steps == [row["step"] for row in run.metrics if row["split"] == "validation"]
    assert -5 < pictures.mean() < -1
    with torch.no_grad(), seeded("film"):
        assert torch.equal(pictures[-1], run.model.sample(10, attributes=told))
    path = write_report(run)
    assert path is not None
    assert "data:image/gif;base64," in path.read_text(encoding="utf-8")
    with Image.open(tmp_path / "run" / "figures" / "film.gif") as film:
        grey = film.convert("L").getextrema()
    assert grey[0] < 128 <= grey[1]  # type: ignore[operator]


def test_a_film_that_is_too_heavy_stays_beside_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    film = Figure("film", "A film", "Moves.", "A film.", animated(torch.rand(3, 2, 1, 8, 8)))
    assert "data:image/gif" in _figure(film)
    monkeypatch.setattr("reparam.report.page._TOO_HEAVY", 100)
    assert "figures/film.gif has 0.0 MB, too much for this page" in _figure(film)
    assert "data:image" not in _figure(film)


def test_the_newest_weights_are_kept(tmp_path: Path) -> None:
    """Whatever the terms say: those of the last validation."""
    run = played(tmp_path / "run", "gan")
    last = open_run(tmp_path / "run").model.state_dict()
    assert all(torch.equal(value, last[name]) for name, value in run.model.state_dict().items())
    steps, pictures = frames(tmp_path / "run", run.spec)
    Film(run.model, run.load_data(), tmp_path / "again").keep(steps[-1])
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
