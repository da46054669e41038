"""One contender in a process of its own: it runs until the end of a lap, answers, and waits to be told to go on.

    python benchmarks/worker.py MODULE.FUNCTION OPTIONS DEVICE

A function that cannot be left and entered again, such as a training, is thereby timed from inside: it stands still
while the others run. What it prints goes to standard error; standard output carries the answers only.
"""

import importlib
import json
import os
import resource
import sys
import time

import torch


class Watch:
    """Times the laps of a contender, and watches its memory."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self.imports = self._peak_bytes()
        self.started = time.perf_counter()

    def wait(self) -> None:
        """Waits until the accelerator has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def lap(self, units: float) -> None:
        """Ends a lap in which so many units (steps, items, calls) were done, and waits for the next one."""
        self.wait()
        seconds = time.perf_counter() - self.started
        answer = {"seconds": seconds, "units": units, "peak_bytes": self._peak_bytes() - self.imports}
        print(json.dumps(answer), file=self.answers, flush=True)
        if not sys.stdin.readline():
            raise SystemExit
        self.started = time.perf_counter()

    def _peak_bytes(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Runs the function that the command line names."""
    name, options, device = sys.argv[1:]
    module, function = name.split(".")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    getattr(importlib.import_module(module), function)(Watch(device), **json.loads(options))


if __name__ == "__main__":
    main()
