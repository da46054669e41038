"""Files of weights that mean harm, or are none, are refused by one sentence."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reparam.data import pretrained
from reparam.data.pretrained import read_weights, squeezenet_weights
from reparam.errors import DataError, DataNotFoundError
from tests.hostile.kit import MIB, lying_zip, npy_header, objects, pickled, zipped

SHAPES = {"a": (2, 3)}
GOOD = npy_header((2, 3), "<f4") + bytes(24)

FILES: dict[str, tuple[bytes, str]] = {
    "no zip": (b"PK\x03\x04 nothing", "truncated or damaged"),
    "empty": (b"", "truncated or damaged"),
    "no such array": (zipped({"b.npy": GOOD}), r"has no array 'a'; it has 'b'"),
    "many arrays": (zipped({f"{number}.npy": b"" for number in range(3000)}), r"has no array 'a'; it has .*\.\.\."),
    "another shape": (zipped({"a.npy": npy_header((3, 2), "<f4") + bytes(24)}), r"of shape \(3, 2\), expected"),
    "another number of axes": (zipped({"a.npy": npy_header((6,), "<f4") + bytes(24)}), r"of shape \(6,\)"),
    "whole numbers": (zipped({"a.npy": npy_header((2, 3), "<i4") + bytes(24)}), "is int32 of shape"),
    "texts": (zipped({"a.npy": npy_header((2, 3), "<U1") + bytes(24)}), "is <U1 of shape"),
    "complex numbers": (zipped({"a.npy": npy_header((2, 3), "<c8") + bytes(48)}), "expected numbers or text"),
    "no numbers": (zipped({"a.npy": npy_header((2, 3), "<f4") + b"\xff" * 24}), "not finite"),
    "numbers beyond single precision": (
        zipped({"a.npy": npy_header((2, 3), "<f8") + np.full(6, 1e300).tobytes()}),
        "not finite",
    ),
    "too few numbers": (zipped({"a.npy": npy_header((2, 3), "<f4") + bytes(20)}), "24 bytes were announced, 20 are"),
    "a header that announces much": (zipped({"a.npy": npy_header((1 << 20, 1 << 20), "<f4")}), "decompression bomb"),
    "much": (zipped({"a.npy": npy_header((MIB,), "<f4") + bytes(4 * MIB)}), "takes 4 MiB, expected numbers"),
    "more than is announced": (lying_zip("a.npy", GOOD + bytes(MIB), 152), "truncated or damaged|bomb"),
    "another packing": (zipped({"a.npy": GOOD}, zipfile.ZIP_LZMA), "packed in a way that is not read"),
}


@pytest.mark.parametrize("kind", list(FILES))
def test_refused(tmp_path: Path, kind: str) -> None:
    content, message = FILES[kind]
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_weights(tmp_path / "w.npz", SHAPES)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_honest_weights_are_read(tmp_path: Path) -> None:
    for dtype in ("<f2", "<f4", ">f8"):
        np.savez(tmp_path / "w.npz", a=np.arange(6, dtype=dtype).reshape(2, 3), more=np.zeros(5))
        found = read_weights(tmp_path / "w.npz", SHAPES)
        assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert found["a"].dtype == np.float32
        assert list(found) == ["a"]


def test_pickles(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for content in (pickled(canary), zipped({"a.npy": objects(canary)}), zipped({"a.npy": pickled(canary)})):
        (tmp_path / "w.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"Python objects|truncated or damaged"):
            read_weights(tmp_path / "w.npz", SHAPES)
    assert not canary.exists()


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(DataError, match="no regular file"):
            read_weights(path, SHAPES)
    with pytest.raises(DataNotFoundError, match="is not there"):
        read_weights(tmp_path / "nowhere.npz", SHAPES)


def test_another_file_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the usual place is known by its checksum; a file that is given is the user's word."""
    monkeypatch.setenv("REPARAM_DATA", str(tmp_path))
    path = tmp_path / pretrained.FOLDER / pretrained.SQUEEZENET.name
    path.parent.mkdir()
    path.write_bytes(zipped({"a.npy": GOOD}))
    with pytest.raises(DataError, match=r"SHA-256 .*\.\.\., expected 3b5deb1d6eec"):
        squeezenet_weights(SHAPES)
    assert squeezenet_weights(SHAPES, path)["a"].shape == (2, 3)
