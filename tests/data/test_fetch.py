import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reparam.data import catalogue, describe_sources, fetch, load_data
from reparam.data.catalogue import Bundle, Dataset
from reparam.data.fetch import File
from reparam.data.numpy_files import read_npz
from reparam.errors import DataError

Offered = tuple[Callable[..., None], Path]


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """A data set ``toy`` whose owner offers it at a file:// address, and empty places to keep it."""
    owner = tmp_path / "owner"
    owner.mkdir()
    np.savez(owner / "toy.npz", x=np.arange(40.0).reshape(20, 2))
    good = hashlib.sha256((owner / "toy.npz").read_bytes()).hexdigest()
    monkeypatch.setenv("REPARAM_DATA", str(tmp_path / "given"))
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path / "cache"))

    def offer(sha256: str = good, *urls: str) -> None:
        file = File("toy.npz", sha256, urls or ((owner / "toy.npz").as_uri(),))
        row = Dataset(
            "toy", "a toy", "none", (Bundle((file,), lambda name, files, how: read_npz(files["toy.npz"], how)),)
        )
        monkeypatch.setitem(catalogue.DATASETS, "toy", row)

    offer()
    return offer, tmp_path


def test_download_into_the_cache_then_offline(offered: Offered) -> None:
    _, folder = offered
    assert load_data("toy").shape == (2,)
    assert [path.name for path in (folder / "cache" / "toy").iterdir()] == ["toy.npz"]
    (folder / "owner" / "toy.npz").unlink()
    assert load_data("TOY").shape == (2,)
    assert next(row for row in describe_sources() if row["name"] == "toy")["at_hand"]


def test_the_given_folder_comes_first(offered: Offered) -> None:
    _, folder = offered
    (folder / "given" / "toy").mkdir(parents=True)
    (folder / "given" / "toy" / "toy.npz").write_bytes((folder / "owner" / "toy.npz").read_bytes())
    load_data("toy")
    assert not (folder / "cache").exists()


def test_a_wrong_file_at_hand_is_refused(offered: Offered) -> None:
    _, folder = offered
    (folder / "given" / "toy").mkdir(parents=True)
    (folder / "given" / "toy" / "toy.npz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"toy\.npz has SHA-256 .* expected .*Remove it"):
        load_data("toy")


def test_a_wrong_download_is_not_kept(offered: Offered) -> None:
    offer, folder = offered
    offer("0" * 64)
    with pytest.raises(DataError, match=r"SHA-256 .* expected 000000000000"):
        load_data("toy")
    assert list((folder / "cache" / "toy").iterdir()) == []


def test_no_network_and_the_next_mirror(offered: Offered) -> None:
    offer, folder = offered
    gone = (folder / "gone.npz").as_uri()
    good = hashlib.sha256((folder / "owner" / "toy.npz").read_bytes()).hexdigest()
    offer(good, gone, (folder / "owner" / "toy.npz").as_uri())
    assert load_data("toy").shape == (2,)
    offer("1" * 64, gone)
    (folder / "cache" / "toy" / "toy.npz").unlink()
    with pytest.raises(DataError, match=r"could not be fetched .*Put it into .*\$REPARAM_DATA"):
        load_data("toy")


def test_no_address_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REPARAM_DATA", raising=False)
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"'frey-faces' is not at hand .* Put frey_faces\.npz into"):
        load_data("frey-faces")


def test_default_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REPARAM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetch.cache_folder() == tmp_path / "reparam"


def test_every_row_says_what_it_is() -> None:
    rows = describe_sources()
    assert [row["name"] for row in rows][:3] == ["digits", "mnist", "static-mnist"]
    assert rows[0]["at_hand"]
    assert all(row["about"] and row["licence"] and "\n" not in row["about"] for row in rows)
    for row in catalogue.ROWS:
        for bundle in row.bundles:
            assert all(len(file.sha256) == 64 and file.sha256 == file.sha256.lower() for file in bundle.files)
