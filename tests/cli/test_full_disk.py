"""A disk that fills up in the middle of a write: the system itself refuses the bytes, nothing is simulated."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.conftest import Invoke, trained


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writes beyond this size fail, as they do on a full disk or over a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def last_step(folder: Path) -> int:
    return max(json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines())


def test_what_was_saved_stands_and_the_run_goes_on(invoke: Invoke, tmp_path: Path) -> None:
    folder = trained(tmp_path / "run", "vae", "--model.network={kind: mlp, hidden_dims: [200]}")
    before = {path: path.read_bytes() for path in (folder / "model").iterdir()}
    done = last_step(folder)
    with files_of_at_most(40_000):  # the weights take some 120 kB
        answer = invoke("resume", folder, "--epochs", 4)
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert "File too large" in answer.err or "Free some space" in answer.err
    assert {path: path.read_bytes() for path in (folder / "model").iterdir()} == before
    assert invoke("evaluate", folder, "--samples", 2, "--limit", 5).code == 0
    assert invoke("resume", folder, "--epochs", 4, "--no-report").code == 0
    assert last_step(folder) == 2 * done


def test_answers_are_complete_or_absent(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.npz"
    with files_of_at_most(10_000):
        answer = invoke("sample", vae, "-n", 200, "--out", out)
    assert answer.code == 1
    assert len(answer.err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
