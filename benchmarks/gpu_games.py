"""Games, perceptual VAEs and tokenizers on a GPU: the tables of ``games.py`` and ``faces.py`` at full size.

    python benchmarks/gpu_games.py [--scale 1] [--folder DIR]

``REPARAM_DATA`` names the folder where MNIST, Fashion-MNIST, utkface64 and SqueezeNet's weights lie. ``--scale 0.01``
shrinks the time, the networks and the numbers of pictures, to see on any machine that it runs.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RECIPES = "cvae,cgan,fm-cgan,cvae-gan,gan,vae-gan,info-gan,intro-vae"


def main() -> None:
    """Runs the tables one after the other; what they print is theirs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu-games"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    full = given.scale == 1
    count, epochs = (10_000, 20) if full else (max(200, int(10_000 * given.scale)), 1)
    network = {"channels": [64, 128, 256] if full else [8, 8], "blocks": 2}
    tables: list[list[str]] = []
    for data in ("mnist", "fashion-mnist"):
        words = ["games.py", "--data", data, "--recipes", RECIPES, "--seeds", "0,1,2" if full else "0"]
        words += ["--minutes", str(10 * given.scale), "--count", str(count), "--reader-epochs", str(epochs)]
        tables.append([*words, "--set", json.dumps({"model": {"network": network}})])
    words = ["faces.py", "--minutes", str(20 * given.scale), "--regressor-epochs", str(epochs)]
    tables.append(words)
    for number, words in enumerate(tables):
        print(f"\n## {' '.join(words)}\n", flush=True)
        out = given.folder / f"table-{number}.json"
        subprocess.run([sys.executable, HERE / words[0], *words[1:], "--json", out], check=True)


if __name__ == "__main__":
    main()
