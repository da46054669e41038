"""Several processes, one training: started by ``torchrun``, each with its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from reparam.errors import RunError
from reparam.launch import launched

PATIENCE = timedelta(minutes=30)
_MEETINGS = count()


@dataclass(frozen=True)
class Processes:
    """The group this process works in; one process alone is a group of one, and none of its methods costs anything.

    Attributes:
        rank: Number of this process, from 0.
        world: Number of processes.
    """

    rank: int = 0
    world: int = 1

    @property
    def writes(self) -> bool:
        """True for the one process that writes files and speaks."""
        return self.rank == 0

    def share(self, size: int) -> slice:
        """This process's examples of a batch of ``size``.

        Raises:
            RunError: if the batch cannot be shared equally.
        """
        if size % self.world:
            raise RunError(
                f"A batch of {size} examples cannot be shared by {self.world} processes. "
                f"Set --train.batch_size to a multiple of {self.world}."
            )
        own = size // self.world
        return slice(self.rank * own, (self.rank + 1) * own)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by its mean over the processes; all travel in one message for each type of number."""
        if self.world == 1:
            return
        groups: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            groups.setdefault(tensor.dtype, []).append(tensor)
        for group in groups.values():
            flat = torch.cat([tensor.reshape(-1) for tensor in group])
            dist.all_reduce(flat)
            flat /= self.world
            for tensor, mean in zip(group, flat.split([t.numel() for t in group]), strict=True):
                tensor.copy_(mean.view(tensor.shape))

    def mean(self, value: Tensor) -> Tensor:
        """The mean over the processes, with its gradient: for what a bound takes from the whole batch."""
        if self.world == 1:
            return value
        summed: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
        return summed / self.world

    def whole(self, value: Tensor, axis: int = 0) -> Tensor:
        """The parts of all processes side by side along an axis, with their gradient."""
        if self.world == 1:
            return value
        parts = [value if rank == self.rank else torch.zeros_like(value) for rank in range(self.world)]
        summed: Tensor = _Sum.apply(torch.cat(parts, axis))  # type: ignore[no-untyped-call]
        return summed

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.world == 1:
            return tensor
        summed = tensor.clone()
        dist.all_reduce(summed)
        return summed

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, (world, ...)."""
        if self.world == 1:
            return tensor.unsqueeze(0)
        found = [torch.empty_like(tensor) for _ in range(self.world)]
        dist.all_gather(found, tensor.contiguous())
        return torch.stack(found)

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Gives each tensor the values that it has in the first process."""
        if self.world > 1:
            for tensor in tensors:
                values = tensor.detach().contiguous()
                dist.broadcast(values, 0)
                tensor.detach().copy_(values)

    def agreed(self, number: float) -> float:
        """What the first process says."""
        if self.world == 1:
            return number
        said = torch.tensor([number], dtype=torch.float64, device=_meeting_place())
        dist.broadcast(said, 0)
        return said.item()

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, True if one of the processes says so."""
        if self.world == 1:
            return flags
        return tuple((self.total(torch.tensor(flags, dtype=torch.float32, device=_meeting_place())) > 0).tolist())


class _Sum(torch.autograd.Function):
    """The sum over the processes; each of them feels what all of them make of it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        summed = value.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        summed = grads[0].clone()
        dist.all_reduce(summed)
        return summed


def _meeting_place() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def take_own_gpu() -> None:
    """Makes "cuda" mean, in each of the processes that ``torchrun`` started on a machine, a GPU of its own."""
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def is_part(tensor: Tensor) -> bool:
    """True for a tensor that is shared out, of which this process holds a part."""
    return hasattr(tensor, "to_local")


def current() -> Processes:
    """The group this process has joined."""
    return Processes(dist.get_rank(), dist.get_world_size()) if _joined() else Processes()


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


@cache
def _meeting() -> tuple[Any, int, int]:
    """Where the processes meet, once for all groups of theirs, and which one of how many this is."""
    from torch.distributed.rendezvous import rendezvous  # not there in a build of torch without processes

    found: tuple[Any, int, int] = next(iter(rendezvous("env://", timeout=PATIENCE)))
    return found


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Joins the group that ``torchrun`` announces, for a block; alone otherwise, or where the caller has joined one.

    Args:
        device: NCCL carries messages between GPUs, gloo between CPUs; see :func:`take_own_gpu` for which GPU it is.
    """
    if _joined() or not launched():
        yield current()
        return
    store, rank, world = _meeting()
    # a place of its own: what an earlier group of these processes left would be read again by whoever comes first
    own = dist.distributed_c10d.PrefixStore(f"reparam/{next(_MEETINGS)}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=own, rank=rank, world_size=world, timeout=PATIENCE)
    try:
        yield current()
    finally:
        dist.destroy_process_group()
