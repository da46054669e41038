"""Memory that stays with the process between steps."""

import torch

LARGEST = 31 << 20


def keep_freed_memory() -> None:
    """Teaches the C library to keep what is freed, for the next step to use again.

    glibc takes large blocks from the system each time, and gives back what is free at the end of its heap. A step that
    frees its activations and gradients then pays for every page again: hundreds to thousands of faults, a fifth of its
    time. Both thresholds follow the largest block freed so far, up to 32 MiB (mallopt(3), ``M_MMAP_THRESHOLD``), so
    one block that nobody touches is enough. Elsewhere this does nothing.
    """
    torch.empty(LARGEST, dtype=torch.uint8)
