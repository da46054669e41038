"""The short form of ``benchmarks/kill.py``: ten trainings or parts of them killed at random moments lose nothing."""

import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT


def test_ten_kills(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), "--kills", "10", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("10 kills, ")
    assert not list(tmp_path.iterdir())
