"""Data files that mean harm are refused by one sentence: nothing runs, hangs or takes memory."""

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reparam.data import load_data, load_items
from reparam.errors import DataError
from tests.hostile.kit import HOSTILE, picture

MOST_GROWTH = 400 << 20


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_file_is_refused(tmp_path: Path, kind: str) -> None:
    name, make, message = HOSTILE[kind]
    canary, path = tmp_path / "canary", tmp_path / name
    path.write_bytes(make(canary))
    before = peak()
    with pytest.raises(DataError, match=message) as caught:
        load_items(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000 + len(str(path))
    assert not canary.exists()
    assert peak() - before < MOST_GROWTH


@pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.idx", "a.zip", "a.tar", "a.png", "a.mat", "a"])
def test_pipes_and_devices_are_not_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="is no regular file"):
        load_data(tmp_path / name)


def test_a_pipe_among_pictures(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png is no regular file"):
        load_data(tmp_path)


def test_a_pipe_among_idx_files(tmp_path: Path) -> None:
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="is no regular file"):
        load_data(tmp_path)


def test_an_endless_device() -> None:
    with pytest.raises(DataError, match="is no regular file"):
        load_data("/dev/zero")


def test_links_to_devices_and_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is no regular file"):
        load_data(tmp_path)
    (tmp_path / "a.png").unlink()
    (tmp_path / "a.png").symlink_to(tmp_path / "nothing")
    with pytest.raises(DataError, match="cannot be read"):
        load_data(tmp_path)


def test_folders_that_lead_back_to_themselves(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.png").write_bytes(picture())
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert len(load_items(tmp_path)) == 1


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A picture deeper in folders than Python may call itself; taken away again, which pytest could not."""
    levels = 1200
    here = os.open(".", os.O_RDONLY)
    os.chdir(tmp_path)
    for _ in range(levels):
        os.mkdir("d")
        os.chdir("d")
    Path("a.png").write_bytes(picture())
    yield tmp_path
    Path("a.png").unlink()
    for _ in range(levels):
        os.chdir("..")
        os.rmdir("d")
    os.chdir(here)
    os.close(here)


def test_deep_folders(deep: Path) -> None:
    with pytest.raises(DataError, match="a picture in an odd place"):
        load_data(deep)


def test_half_precision_gives_no_warning(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    np.save(tmp_path / "a.npy", np.array([[0.5, 1], [2, 65504]], dtype=np.float16))
    assert load_items(tmp_path / "a.npy").stored.tolist() == [[0.5, 1], [2, 65504]]


def test_an_honest_progressive_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(kind="jpeg", progressive=True))
    assert load_items(tmp_path / "a.jpg").spec.shape == (1, 5, 4)


def test_a_long_text_in_every_row(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000), pa.array(["y" * 50_000]))
    parquet.write_table(pa.table({"x": [1.0] * 100_000, "label": texts}), tmp_path / "a.parquet")
    before = peak()
    with pytest.raises(DataError, match="a label of 50,000 characters"):
        load_items(tmp_path / "a.parquet")
    assert peak() - before < MOST_GROWTH


def test_a_long_column_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a," + "b" * 5000 + "\n1,2\n3,1e99\n")
    with pytest.raises(DataError, match="a column whose name is longer than 1,000 characters"):
        load_items(tmp_path / "a.csv")
