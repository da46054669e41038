"""Addresses that give other files, or no end of them."""

import hashlib
from pathlib import Path

import pytest

from reparam.data import fetch
from reparam.data.fetch import File
from reparam.errors import DataError


def test_a_download_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "long").write_bytes(bytes(3 << 20))
    monkeypatch.setattr(fetch, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(fetch, "CHUNK", 1 << 10)
    file = File("a.npz", hashlib.sha256(bytes(3 << 20)).hexdigest(), ((tmp_path / "long").as_uri(),))
    with pytest.raises(DataError, match="it gives more than 1 MiB"):
        fetch.download(file, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_cache_that_leads_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPARAM_DATA", str(tmp_path))
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "a.npz").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match=r"SHA-256|cannot be had|could not be fetched"):
        fetch.obtain("toy", File("a.npz", "0" * 64))
