"""Measures the package against other code and against what is possible, and prints one table.

    python benchmarks/speed.py [--rows mlp,likelihood] [--rounds 7] [--quick] [--device auto] [--json FILE]

Everything that is measured runs in a process of its own with one thread. A round runs one after the other, so that what
else the machine does falls on all of them; the ratios are taken inside the rounds. "x ours" is a contender's time
divided by the first one's of the same row: 3 means that the package is three times as fast.
"""

import argparse
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from rows import GROUPS, ROWS, Setting
from table import HEADING, say

MOST_ROUNDS = 18  # a training is 20 laps long, the first one warms up


def chosen_rows(text: str) -> list[str]:
    """Names of rows, in the order of the table; a group stands for its rows.

    Raises:
        argparse.ArgumentTypeError: if one of them is unknown.
    """
    wanted = {row for name in text.split(",") for row in GROUPS.get(name, (name,))}
    if wanted - ROWS.keys():
        unknown = ", ".join(sorted(wanted - ROWS.keys()))
        raise argparse.ArgumentTypeError(f"there is no row {unknown}; expected {', '.join([*ROWS, *GROUPS])}")
    return [row for row in ROWS if row in wanted]


def found_device(name: str) -> str:
    """The device that ``auto`` means here; asked in a process of its own, because this one stays small."""
    if name != "auto":
        return name
    question = "import torch; print('cuda' if torch.cuda.is_available() else 'cpu')"
    return subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Prints the table, line by line, and writes it to a file where one is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=chosen_rows, default="all", help=", ".join([*ROWS, *GROUPS]))
    parser.add_argument("--rounds", type=int, choices=range(1, MOST_ROUNDS + 1), metavar="N")
    parser.add_argument("--quick", action="store_true", help="small sizes and two rounds: does everything run?")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    setting = Setting(found_device(given.device), given.rounds or (2 if given.quick else 7), given.quick)
    say(f"device {setting.device}, {setting.rounds} rounds")
    print(HEADING)
    lines = []
    for row in given.rows:
        for line in ROWS[row](setting):
            print(line.text(), flush=True)
            lines.append(line)
    if given.json:
        records = [line.record() for line in lines]
        told = {"device": setting.device, "torch": version("torch"), "lines": records}
        given.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
