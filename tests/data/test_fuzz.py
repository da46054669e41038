import gzip
import io
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reparam.data import load_items
from reparam.errors import ReparamError

X = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)


@cache
def samples() -> dict[str, bytes]:
    def written(write: Callable[[io.BytesIO], object]) -> bytes:
        buffer = io.BytesIO()
        write(buffer)
        return buffer.getvalue()

    def pictures(archive: io.BytesIO) -> None:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("a/0.png", written(lambda to: Image.fromarray(X[0]).save(to, "png")))

    idx = struct.pack(">HBB3I", 0, 8, 3, *X.shape) + X.tobytes()
    table = b"a,b,label\n1,2.5,cat\n3,4,dog\n"
    return {
        "a.npz": written(lambda to: np.savez_compressed(to, x=X, y=np.arange(3))),
        "a.npy": written(lambda to: np.save(to, X)),
        "a.idx": idx,
        "a.idx.gz": gzip.compress(idx, mtime=0),
        "a.csv": table,
        "a.csv.gz": gzip.compress(table, mtime=0),
        "a.amat": b"0 1 1\n1 0 0\n",
        "a.mat": written(lambda to: scipy.io.savemat(to, {"x": X, "y": [1, 2, 3]})),
        "b.mat": written(lambda to: scipy.io.savemat(to, {"x": X, "n": np.array(["p"], object)}, do_compression=True)),
        "a.zip": written(pictures),
        **{
            f"a.{kind}": written(lambda to, kind=kind: Image.fromarray(X[0]).save(to, kind))
            for kind in ("png", "jpeg", "bmp", "gif", "webp")
        },
    }


@pytest.mark.parametrize("name", sorted(samples()))
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_changed_bytes_give_data_or_our_own_error(name: str, data: st.DataObject) -> None:
    content = bytearray(samples()[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            items = load_items(path)
        except ReparamError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert len(items) > 0
