"""The short form of ``benchmarks/kill.py``: ten kills at random moments lose nothing."""

import re
import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT


def test_ten_kills(tmp_path: Path) -> None:
    options = ["--trainings", "3", "--kills", "10", "--epochs", "1", "--folder", str(tmp_path)]
    command = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.fullmatch(r"(\d+) kills, .*; (\d+) of (\d+) trainings equal\n", done.stdout)
    assert found, done.stdout
    kills, equal, trainings = map(int, found.groups())
    assert kills >= 10
    assert equal == trainings >= 3
    assert not list(tmp_path.iterdir())
