"""Times what the first second of every use costs: CPU seconds of fresh processes, the best of five."""

import resource
import subprocess
import sys

USES = {
    "python -c pass": ("-c", "pass"),
    "import reparam": ("-c", "import reparam"),
    "reparam --help": ("-m", "reparam", "--help"),
    "reparam train --help": ("-m", "reparam", "train", "--help"),
    "import torch": ("-c", "import torch"),
}


def cpu_seconds(*arguments: str) -> float:
    """CPU time of one fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Prints one table."""
    print(f"{'use':<22} {'CPU s':>6}")
    for use, arguments in USES.items():
        print(f"{use:<22} {min(cpu_seconds(*arguments) for _ in range(5)):6.2f}")


if __name__ == "__main__":
    main()
