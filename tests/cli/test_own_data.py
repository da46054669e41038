"""Runs whose data were moved, or given from Python, are told where they are now; others than their own are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reparam.data import Data, load_data
from reparam.errors import DataError, DataNotFoundError, RunError
from reparam.recipes import build
from reparam.report import write_report
from reparam.rng import reseed
from reparam.runs import Run, fit, open_run, resume, train
from tests.cli.conftest import Invoke

pytestmark = pytest.mark.usefixtures("sketched")

SHORT: dict[str, Any] = {"epochs": 1, "tensorboard": False}


def values(seed: int = 0) -> Tensor:
    reseed(seed)
    return torch.randn(60, 4)


def same(one: Data, other: Data) -> bool:
    """The same examples in the same splits, with the same labels."""
    for name in ("train", "validation", "test"):
        a, b = (data.split(name).batch(slice(None)) for data in (one, other))
        if not torch.equal(a.x, b.x) or a.named.keys() != b.named.keys():
            return False
        if not all(torch.equal(a.named[key], b.named[key]) for key in a.named):
            return False
    return True


def on_arrays(folder: Path | None) -> Run:
    x = values()
    return fit(build("vae", x, latent_dim=2), x, out=folder, device="cpu", **SHORT)


def test_the_command_line_is_told(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    on_arrays(folder)
    np.save(tmp_path / "x.npy", values().numpy())
    np.save(tmp_path / "y.npy", values(1).numpy())
    for words in ("report", "traverse", "interpolate 0 1", "sample --sampler gmm", "resume --epochs 2 --no-report"):
        verb, *more = words.split()
        refused = invoke(verb, folder, *more)
        assert refused.code == 1
        assert "--data SOURCE" in refused.err
        other = invoke(verb, folder, *more, "--data", tmp_path / "y.npy")
        assert other.code == 1
        assert "These are not the run's data: their mean of the training split is" in other.err
        assert invoke(verb, folder, *more, "--data", tmp_path / "x.npy").code == 0
    assert invoke("traverse", folder).code == 0  # a run that went on knows where they are


def labelled(folder: Path, classes: str) -> Path:
    reseed(0)
    path = folder / f"{classes}.npz"
    np.savez(path, x=torch.rand(120, 4).numpy(), labels=np.array(list(classes))[torch.arange(120) % len(classes)])
    return path


def test_moved_data_are_divided_as_they_were(tmp_path: Path) -> None:
    settings = {"source": str(labelled(tmp_path, "abc")), "labelled": 12, "seed": 3, "validation": 0.2, "limit": 90}
    run = train("m2", {"data": settings, "train": SHORT}, out=tmp_path / "run", device="cpu")
    assert run.data is not None
    moved = tmp_path / "elsewhere.npz"
    (tmp_path / "abc.npz").rename(moved)
    with pytest.raises(DataNotFoundError, match=r"The run's data, .*abc.npz, are not here. Say where"):
        open_run(tmp_path / "run").load_data()
    assert same(open_run(tmp_path / "run", data=moved).load_data(), run.data)
    again = resume(tmp_path / "run", epochs=2, data=moved, device="cpu")
    assert again.data is not None
    assert same(again.data, run.data)
    assert same(open_run(tmp_path / "run").load_data(), run.data)
    with pytest.raises(DataError, match="not the run's data: their classes"):
        resume(tmp_path / "run", epochs=3, data=labelled(tmp_path, "bcd"), device="cpu")


def test_arrays_are_divided_as_they_were(tmp_path: Path) -> None:
    y = torch.arange(60) % 3
    data = load_data((values(), y), seed=3, validation=0.2, labelled=12)
    run = train("m2", {"train": SHORT}, data=data, out=tmp_path / "run", device="cpu")
    for given in ((values(), y), data):
        assert same(open_run(tmp_path / "run", data=given).load_data(), data)
    assert run.config.data.seed == 3


def test_what_was_said_of_arrays_holds(tmp_path: Path) -> None:
    x = torch.randint(0, 200, (60, 8, 8)).float()
    data = load_data(x, axes="NCT", values="levels")
    fit(build("vae", data), data, out=tmp_path / "run", device="cpu", **SHORT)
    np.save(tmp_path / "x.npy", x.numpy())
    again = resume(tmp_path / "run", epochs=2, data=tmp_path / "x.npy", device="cpu")
    assert (again.spec.shape, again.spec.kind) == ((8, 8), "levels")


def test_a_run_in_memory_needs_a_folder_for_its_report(tmp_path: Path) -> None:
    run = on_arrays(None)
    run.evaluate(metrics=["elbo"])
    with pytest.raises(RunError, match="say where"):
        write_report(run)
    path = write_report(run, tmp_path / "there")
    assert path == tmp_path / "there" / "report.html"
    assert "a training from Python" in path.read_text(encoding="utf-8")
    assert "not been evaluated" not in path.read_text(encoding="utf-8")


def test_a_run_remembers_which_columns_hold_labels_and_groups(invoke: Invoke, tmp_path: Path) -> None:
    x, rows = values().tolist(), range(60)
    lines = ["a,b,c,d,species,home", *(",".join(map(str, [*x[i], "st"[i % 2], f"h{i % 7}"])) for i in rows)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    told = ["--data.label_column", "species", "--data.group_column", "home", "--data.split_by", "groups"]
    base = ["train", "vae", "--data", tmp_path / "a.csv", "--no-report", "--epochs", 1]
    assert "expected one of 'species'" in invoke(*base, "--data.label_column", "specis").err
    assert invoke(*base, *told, "--model.latent_dim", 2, "--out", tmp_path / "run").code == 0
    assert invoke("resume", tmp_path / "run", "--epochs", 2, "--no-report").code == 0
    run = open_run(tmp_path / "run", device="cpu")
    assert (run.spec.classes, len(run.spec.groups), run.config.data.label_column) == (("s", "t"), 7, "species")
    assert run.load_items(tmp_path / "a.csv").labels.tolist() == [0, 1] * 30
    assert same(run.load_data(tmp_path / "a.csv"), run.load_data())
    assert invoke("encode", tmp_path / "run", tmp_path / "a.csv", "--out", tmp_path / "z.npz").code == 0
    with np.load(tmp_path / "z.npz") as found:
        assert found["mean"].shape == (60, 2)
