"""How many CPU threads to use: where other work shares the cores, waiting for a second one costs more than it gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Lets torch's CPU kernels use ``count`` threads for a block."""
    found = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(found)


def fastest_threads(work: Callable[[], object], repeats: int = 3) -> int:
    """The number of threads, all or one, with which ``work`` runs faster right now.

    Args:
        work: Something short and typical; it is run ``2 * repeats + 2`` times at most.
        repeats: Timed runs of each; the best one counts.
    """
    counts = sorted({1, torch.get_num_threads()})
    if len(counts) == 1:
        return counts[0]
    best: dict[int, float] = {}
    for count in counts:
        with threads(count):
            work()
            times = []
            for _ in range(repeats):
                started = time.perf_counter()
                work()
                times.append(time.perf_counter() - started)
        best[count] = min(times)
    return min(best, key=lambda count: best[count])
