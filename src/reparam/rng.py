"""Counted randomness: every draw follows from (seed, counter), so a run can be repeated from any point."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def counted_seed(*counters: int | str) -> int:
    """Hashes a seed and counters, such as ``(seed, "step", 1200)``, into one 63-bit seed."""
    digest = hashlib.blake2b(repr(counters).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*counters: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator whose draws depend on the counters alone."""
    return torch.Generator(device=device).manual_seed(counted_seed(*counters))


@contextmanager
def seeded(*counters: int | str) -> Iterator[None]:
    """Seeds torch's global generators for a block and gives the caller's state back afterwards."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(counted_seed(*counters))
        yield
