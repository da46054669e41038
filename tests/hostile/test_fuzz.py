"""A few hundred damaged files for every loader; ``benchmarks/fuzz.py`` tries as many as one likes."""

import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import fuzz


@pytest.mark.filterwarnings("ignore::UserWarning")  # of damaged checkpoints, cut pictures, arrays that are left out
@pytest.mark.parametrize("name", list(fuzz.LOADERS))
def test_damaged_files_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("REPARAM_DATA", str(tmp_path))
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path))
    for number in range(5 + fuzz.LOADERS[name].share // 2):
        sample, content = fuzz.damaged(name, 0, number)
        fuzz.placed(tmp_path / "in", sample, content)
        assert fuzz.verdict(fuzz.LOADERS[name], tmp_path / "in", sample.name) in ("", "refused"), number
