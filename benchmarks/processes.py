"""Trains the same thing in one process and in several, and compares what comes out.

    python benchmarks/processes.py [--processes 4] [--data mnist] [--epochs 1] [--folder DIR]

The several are started by ``torchrun`` and share every batch. Their numbers on the test split must be those of one
process but for the rounding of sums in another order; the differences of the ELBO, of its terms and of log p(x) are
printed. Exit code 0 means that none is above 0.001 nats.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

COMPARED = ("elbo", "distortion", "rate", "nll")
ALLOWED = 1e-3


def main() -> int:
    """Trains twice, evaluates, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(dir=arguments.folder, prefix="processes-"))
    several = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(arguments.processes)]
    found = {}
    for name, start in (("one", [sys.executable]), ("several", several)):
        command = [*start, "-m", "reparam", "train", "vae", "--data", arguments.data, "--model.network", "mlp"]
        command += ["--epochs", str(arguments.epochs), "--seed", "0", "--out", str(place / name), "--no-report"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found[name] = json.loads((place / name / "evaluation.json").read_text())
    apart = {key: abs(found["one"][key] - found["several"][key]) for key in COMPARED}
    for key, value in apart.items():
        print(f"{key:<12} one {found['one'][key]:.5f}  several {found['several'][key]:.5f}  apart {value:.1e}")
    return int(max(apart.values()) > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
