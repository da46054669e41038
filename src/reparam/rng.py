"""Counted randomness: every draw follows from (seed, counter), so a run can be repeated from any point."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from reparam.errors import RefusedError

_PART: ContextVar[tuple[int, int]] = ContextVar("reparam_part", default=(0, 1))


def counted_seed(*counters: int | str) -> int:
    """Hashes a seed and counters, such as ``(seed, "step", 1200)``, into one 63-bit seed."""
    digest = hashlib.blake2b(repr(counters).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*counters: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator whose draws depend on the counters alone."""
    return torch.Generator(device=device).manual_seed(counted_seed(*counters))


def reseed(seed: int) -> None:
    """Seeds torch's global generators of the devices in use, without what :func:`torch.manual_seed` asks of others."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


@contextmanager
def seeded(*counters: int | str) -> Iterator[None]:
    """Seeds torch's global generators for a block and gives the caller's state back afterwards."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        reseed(counted_seed(*counters))
        yield


@contextmanager
def part_of_batch(part: int, parts: int) -> Iterator[None]:
    """Says, for a block, that what is at hand is one of several equal parts of a batch (see :func:`per_example`)."""
    token = _PART.set((part, parts))
    try:
        yield
    finally:
        _PART.reset(token)


def is_part() -> bool:
    """True where what is at hand is a part of a batch: draws must not depend on what the other parts do not see."""
    return _PART.get()[1] > 1


def per_example(axis: int) -> AbstractContextManager[Any]:
    """Within the block, draws have one entry for each example along ``axis``.

    Where a batch is shared by several processes, each of them then draws for the whole batch and keeps its own part:
    together they draw exactly what one process would.
    """
    part, parts = _PART.get()
    return nullcontext() if parts == 1 else _WholeBatch(axis, part, parts)


_FILLING = {Tensor.normal_, Tensor.uniform_, Tensor.exponential_}
_LIKE: dict[Callable[..., Any], Callable[..., Any]] = {torch.rand_like: torch.rand, torch.randn_like: torch.randn}
_SIZED: set[Callable[..., Any]] = {torch.rand, torch.randn}
_OTHERS: set[Callable[..., Any]] = {torch.bernoulli, torch.multinomial, torch.normal, torch.poisson, Tensor.bernoulli_}


class _WholeBatch(TorchFunctionMode):
    """Makes random functions draw ``parts`` times as many values along an axis, and keep those of one part."""

    def __init__(self, axis: int, part: int, parts: int) -> None:
        super().__init__()
        self.axis, self.part, self.parts = axis, part, parts

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _FILLING:
            tensor = args[0]
            whole = func(tensor.new_empty(self._widened(tensor.shape)), *args[1:], **kwargs)
            return tensor.copy_(self._own(whole, tensor.shape))
        if func in _LIKE:
            options = {"dtype": args[0].dtype, "device": args[0].device} | kwargs
            return self._own(_LIKE[func](self._widened(args[0].shape), **options), args[0].shape)
        if func in _SIZED:
            shape = torch.Size(args[0] if len(args) == 1 and not isinstance(args[0], int) else args)
            return self._own(func(self._widened(shape), **kwargs), shape)
        if func in _OTHERS:
            raise RefusedError(
                f"{func.__name__} cannot be drawn alike by several processes. Draw by torch.rand or torch.randn, "
                "or train in one process."
            )
        return func(*args, **kwargs)

    def _widened(self, shape: torch.Size) -> tuple[int, ...]:
        return tuple(size * self.parts if axis == self.axis else size for axis, size in enumerate(shape))

    def _own(self, whole: Tensor, shape: torch.Size) -> Tensor:
        return whole.narrow(self.axis, self.part * shape[self.axis], shape[self.axis])
