"""The rest of a run folder, and values that no loader but a later step trips over."""

import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reparam.cli.settings import value_of
from reparam.data import load_items
from reparam.data.tars import has_labels
from reparam.errors import ConfigError, DataError, RunError
from reparam.runs import Run
from tests.hostile.kit import deep_json, laughs, pax_of_digits


@pytest.mark.parametrize("content", ["{", "[]", "1", deep_json(), "1" * 5000, '"\\ud800'])
def test_a_damaged_evaluation(tmp_path: Path, content: str) -> None:
    (tmp_path / "evaluation.json").write_text(content)
    run: Any = SimpleNamespace(folder=tmp_path)
    with pytest.raises(RunError, match=r"evaluation\.json cannot be read: .* Remove it") as caught:
        Run.evaluation.fget(run)  # type: ignore[attr-defined]
    assert "\n" not in str(caught.value)


def test_many_names_make_a_short_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{f"k{number}": np.zeros(1) for number in range(3000)})
    with pytest.raises(DataError, match=r"has 'k0', .*\.\.\.; expected 'x'") as caught:
        load_items(tmp_path / "a.npz")
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_labels_beyond_integers() -> None:
    with pytest.raises(DataError, match="expected whole numbers or names"):
        load_items((np.ones((2, 4)), np.array([1e300, 1])))


def test_half_precision_gives_no_warning() -> None:
    assert load_items(np.ones((3, 4), np.float16)).spec.kind == "binary"


@pytest.mark.parametrize("text", [laughs(), "[" * 5000, "2001-13-45", "!!python/object/apply:os.getcwd []"])
def test_hostile_values_on_the_command_line(text: str) -> None:
    with pytest.raises(ConfigError):
        value_of(f"[{text}]")


def test_looking_for_labels_reads_no_endless_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tar").write_bytes(pax_of_digits(20_000))
    monkeypatch.delattr(tarfile.TarInfo, "_proc_pax")  # whose search takes quadratic time in older versions of Python
    assert not has_labels(tmp_path / "a.tar")
