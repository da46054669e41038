"""Models of structure on a GPU at paper scale: sequences, groups and several observations.

    python benchmarks/gpu_structure.py [--scale 1] [--folder DIR] [--device cuda]

``REPARAM_DATA`` names the folder of the data. ``--scale 0.01`` shrinks times, widths and numbers of draws, to see on
any machine that it runs. The aim for JSB chorales is 5.1 nats for each step, importance-weighted.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MUSIC = {"jsb-chorales": 2000, "nottingham": 400, "piano-midi": 400, "muse-data": 200}


def tables(scale: float, device: str) -> list[list[str]]:
    """The words of each benchmark."""
    full = scale == 1
    width, draws = (600, 1000) if full else (16, 3)
    model = {"dynamics": {"step_dim": 100 if full else 4, "hidden_dim": width}}
    own = {"model": model, "train": {"weight_decay": 0.3, "optimizer": "adamw"}}
    found = []
    for name, epochs in MUSIC.items() if full else [("jsb-chorales", 0)]:
        long = ["--epochs", str(epochs)] if full else ["--minutes", str(10 * scale)]
        words = ["sequences.py", "--data", name, *long, "--samples", str(draws), "--device", device]
        found.append([*words, "--set", json.dumps(own)])
    words = ["sequences.py", "--data", "sketches", "--minutes", str(60 * scale), "--samples", str(draws // 10 or 1)]
    found.append([*words, "--device", device, "--set", json.dumps({"model": model})])
    found.append(["groups.py", "--data", "mnist", "--minutes", str(30 * scale)])
    for table, minutes in (("labels", 40), ("joints", 20), ("views", 5)):
        seeds = "0,1,2" if full else "0"
        found.append(["observed.py", "--table", table, "--minutes", str(minutes * scale), "--seeds", seeds])
    return found


def main() -> None:
    """Runs the tables one after the other; what they print is theirs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu-structure"))
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for number, words in enumerate(tables(given.scale, given.device)):
        print(f"\n## {' '.join(words)}\n", flush=True)
        out = given.folder / f"table-{number}.json"
        subprocess.run([sys.executable, HERE / words[0], *words[1:], "--json", out], check=True)


if __name__ == "__main__":
    main()
