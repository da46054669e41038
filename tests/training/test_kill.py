"""The short form of ``benchmarks/kill.py``: ten trainings killed at random moments lose nothing."""

import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT


def test_ten_killed_trainings(tmp_path: Path) -> None:
    options = ["--trainings", "10", "--epochs", "1", "--folder", str(tmp_path)]
    command = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) >= 10
    assert done.stdout.endswith("10 of 10 trainings equal\n")
    assert not list(tmp_path.iterdir())
