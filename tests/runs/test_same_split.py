"""Test items stay test items, however a run's data are named, and other data are not taken for them."""

from pathlib import Path

import numpy as np
import pytest

from reparam.data import load_data
from reparam.errors import DataError
from reparam.runs import Run, open_run, train
from reparam.runs.settings import config_by_hand, own_data

QUICK = {"epochs": 1, "batch_size": 16, "tensorboard": False}


def table(path: Path, shift: float = 0.0) -> Path:
    rng = np.random.default_rng(0)
    np.savetxt(path, rng.normal(shift, 1, (60, 3)), delimiter=",", header="a,b,c", comments="")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    source = table(tmp_path / "t.csv")
    given = {"data": {"source": str(source), "seed": 5}, "train": QUICK}
    train("vae", given, out=tmp_path / "run", device="cpu")
    return open_run(tmp_path / "run")


def test_a_source_named_again_keeps_its_test_items(run: Run, tmp_path: Path) -> None:
    own = run.load_data().test.stored
    assert (run.load_data(tmp_path / "t.csv").test.stored == own).all()
    moved = (tmp_path / "t.csv").rename(tmp_path / "moved.csv")
    assert (run.load_data(moved).test.stored == own).all()
    assert not (load_data(moved, spec=run.spec).test.stored == own).all()  # another seed, other items


def test_other_data_in_the_same_place_are_refused(run: Run, tmp_path: Path) -> None:
    table(tmp_path / "t.csv", shift=40.0)
    with pytest.raises(DataError, match="not the run's data: their mean"):
        run.load_data()


@pytest.mark.parametrize("stream", ["off", "on"])
def test_a_column_of_groups_that_a_run_has_as_a_feature_stays_one(tmp_path: Path, stream: str) -> None:
    """As in runs from before there were groups."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    x = np.random.default_rng(0).normal(size=(60, 2))
    frame = pd.DataFrame({"y": np.arange(60) % 2, "group": np.arange(60) % 4, "a": x[:, 0], "b": x[:, 1]})
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=10)
    settings = {"source": str(tmp_path / "t.parquet"), "stream": stream}
    data = load_data(**settings, columns=("a", "b", "group"))
    assert (sorted(data.spec.columns), data.spec.classes) == (["a", "b", "group"], ("0", "1"))
    found = own_data(config_by_hand(settings, "elbo", {}, 0), data.spec)
    assert found.spec.columns == data.spec.columns
    assert (found.test.batch(slice(None)).x == data.test.batch(slice(None)).x).all()
