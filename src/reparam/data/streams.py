"""A split that stays on disk: the order of an epoch by pools of blocks, the blocks that are held, and their batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from reparam.data.choosing import Index, rows_of
from reparam.data.grouping import side_by_side
from reparam.data.records import Batch, Order, Split, drawn_once, known_groups, to_x
from reparam.data.spec import DataSpec
from reparam.rng import generator, part_of_batch
from reparam.shapes import numel

POOL_BYTES = 128 << 20
AT_ONCE = 2  # a batch may lie in two pools; while one is used, the next is read

CPU = torch.device("cpu")

Stored = tuple[Tensor, dict[str, Tensor]]


class Rows(Protocol):
    """Rows in blocks, as they are stored: (n, *shape) and perhaps class and group numbers (n,)."""

    @property
    def lengths(self) -> Sequence[int]:
        """Rows of each block."""
        ...

    @property
    def roles(self) -> Sequence[str]:
        """What every row has a number for: ``labels`` (its class), ``groups``."""
        ...

    def read(self, number: int) -> Stored:
        """The rows of a block, and their numbers by role."""
        ...

    def named(self, number: int) -> dict[str, Tensor]:
        """The numbers of a block alone."""
        ...


def stored_type(spec: DataSpec) -> torch.dtype:
    """The type in which values are stored: uint8 for bits and levels, float32 for the rest, where blocks may differ."""
    return torch.uint8 if spec.kind in ("binary", "levels") else torch.float32


class PooledOrder:
    """The numbers of all rows, shuffled; every slice follows from the counters alone.

    The blocks are permuted, taken ``pool`` at a time, and the rows of each such pool are permuted. A pool's permutation
    is made when it is asked for, so the number of rows does not matter.

    Args:
        lengths: Rows of each block.
        pool: Blocks of a pool.
        counters: Decide the order: seed and epoch.
        announce: Called with the blocks that are used now and those that come next.
        groups: The group of each row, where members of a group stand side by side within a pool.
        group_size: How many of them do.
    """

    def __init__(
        self,
        lengths: Tensor,
        pool: int,
        counters: Sequence[int | str],
        announce: Callable[[list[int], list[int]], None] = lambda now, soon: None,
        groups: Tensor | None = None,
        group_size: int = 1,
    ) -> None:
        self.lengths, self.pool, self.counters, self.announce = lengths, pool, counters, announce
        self.groups, self.group_size = groups, group_size
        self.starts = lengths.cumsum(0) - lengths
        self.blocks = torch.randperm(len(lengths), generator=generator(*counters))
        last = torch.arange(pool - 1, len(lengths) + pool - 1, pool).clamp(max=len(lengths) - 1)
        self.ends = lengths[self.blocks].cumsum(0)[last]
        self._shuffled: dict[int, Tensor] = {}

    def __getitem__(self, index: slice) -> Tensor:
        start, stop, _ = index.indices(int(self.ends[-1]))
        if start >= stop:
            return torch.empty(0, dtype=torch.int64)
        first, last = torch.searchsorted(self.ends, torch.tensor([start, stop - 1]), right=True).tolist()
        now = range(first, last + 1)
        self._shuffled = {pool: self._shuffled[pool] if pool in self._shuffled else self._rows(pool) for pool in now}
        self.announce(self._of(first, last + 1), self._of(last + 1, last + AT_ONCE))
        before = int(self.ends[first - 1]) if first else 0
        return torch.cat([self._shuffled[pool] for pool in now])[start - before : stop - before]

    def _of(self, first: int, stop: int) -> list[int]:
        """The blocks of some pools."""
        return self.blocks[first * self.pool : stop * self.pool].tolist()

    def _rows(self, pool: int) -> Tensor:
        """The rows of a pool in their order."""
        blocks = torch.tensor(self._of(pool, pool + 1))
        counts = self.lengths[blocks]
        within = torch.arange(int(counts.sum())) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        rows = self.starts[blocks].repeat_interleave(counts) + within
        draws = generator(*self.counters, "pool", pool)
        rows = rows[torch.randperm(len(rows), generator=draws)]
        return rows if self.groups is None else side_by_side(rows, self.groups[rows], self.group_size, draws)


class Shelf:
    """The blocks that are held in memory, in slots of one tensor, so that a batch is one gather.

    Args:
        rows: Where blocks are read.
        spec: What the rows are.
        capacity: How many blocks are held at most; a gather may need no more at once.
    """

    def __init__(self, rows: Rows, spec: DataSpec, capacity: int) -> None:
        self.rows, self.capacity, self.slot_rows = rows, min(capacity, len(rows.lengths)), max(rows.lengths)
        self.x = torch.empty(self.capacity * self.slot_rows, *spec.shape, dtype=stored_type(spec))
        self.named = {role: torch.empty(len(self.x), dtype=torch.int64) for role in rows.roles}
        self.held: dict[int, tuple[int, Future[None]]] = {}  # the least recently used first
        self.slots = torch.zeros(len(rows.lengths), dtype=torch.int64)
        self.reader = ThreadPoolExecutor(1, "reparam-data")

    def expect(self, now: Collection[int], soon: Collection[int]) -> None:
        """Starts to read blocks: those that are used now, then those of ``soon`` for which there is room beside."""
        for block in now:
            if block in self.held:
                self.held[block] = self.held.pop(block)
        kept = [*now, *list(soon)[: self.capacity - len(now)]]
        for block in kept:
            if block not in self.held:
                slot = self._free(kept)
                self.slots[block] = slot
                self.held[block] = slot, self.reader.submit(self._fill, block, slot)

    def _free(self, kept: Collection[int]) -> int:
        """A slot that nothing lies in, or nothing that is kept."""
        if len(self.held) < self.capacity:
            taken = {slot for slot, _ in self.held.values()}
            return next(slot for slot in range(self.capacity) if slot not in taken)
        oldest = next(block for block in self.held if block not in kept)
        slot, reading = self.held.pop(oldest)
        if not reading.cancel():
            wait([reading])
        return slot

    def _fill(self, block: int, slot: int) -> None:
        x, named = self.rows.read(block)
        first = slot * self.slot_rows
        self.x[first : first + len(x)] = x
        for role, numbers in self.named.items():
            numbers[first : first + len(x)] = named[role]

    def gather(self, blocks: Tensor, within: Tensor) -> Stored:
        """Rows by the block they lie in and their number within it, once those blocks are read.

        Raises:
            DataError: if one cannot be read.
        """
        for block in blocks.unique().tolist():
            try:
                self.held[block][1].result()
            except BaseException:
                del self.held[block]
                raise
        places = self.slots[blocks] * self.slot_rows + within
        return self.x.index_select(0, places), {role: numbers[places] for role, numbers in self.named.items()}


@dataclass(frozen=True)
class StreamedSplit:
    """One part of the data that stays on disk and is read block by block, with the surface of :class:`Split`.

    Args:
        rows: Where blocks are read.
        spec: What the rows are.
        device: Where batches are wanted.
        pool_bytes: About the size of a pool, among whose rows an epoch is shuffled; two pools are held in memory.
    """

    rows: Rows
    spec: DataSpec
    device: torch.device = CPU
    pool_bytes: int = POOL_BYTES

    def __len__(self) -> int:
        return sum(self.rows.lengths)

    @cached_property
    def _lengths(self) -> Tensor:
        return torch.tensor(self.rows.lengths)

    @cached_property
    def _starts(self) -> Tensor:
        return self._lengths.cumsum(0) - self._lengths

    @property
    def pool(self) -> int:
        """Blocks of a pool."""
        row_bytes = numel(self.spec.shape) * stored_type(self.spec).itemsize
        return max(1, self.pool_bytes // (max(self.rows.lengths) * row_bytes))

    @cached_property
    def _shelf(self) -> Shelf:
        return Shelf(self.rows, self.spec, AT_ONCE * self.pool)

    @property
    def named(self) -> Mapping[str, Tensor]:
        """Class and group numbers of all rows as ``labels`` and ``groups``, where all have one; they alone are read."""
        if not self.rows.roles:
            return {}
        numbers = [self.rows.named(block) for block in range(len(self.rows.lengths))]
        return {role: torch.cat([own[role] for own in numbers]).to(self.device) for role in self.rows.roles}

    def __getitem__(self, index: Index) -> Batch:
        """One example, or some of them, as :meth:`batch` gives them."""
        return self.batch(index)

    def __iter__(self) -> Iterator[Batch]:
        """Every example in order, each as a batch of one."""
        return self.batches(1)

    @property
    def labels(self) -> Tensor | None:
        """Class numbers, (N,), or None."""
        return self.named.get("labels")

    @cached_property
    def groups(self) -> Tensor | None:
        """The group of each example, (N,), or else its label; None without either."""
        named = self.named
        return named.get("groups", named.get("labels"))

    def order(self, seed: int, epoch: int, group_size: int = 1) -> Order:
        """The numbers of all examples, shuffled for this epoch by pools of blocks: slices of it make batches.

        Args:
            seed: Decides the order, with the epoch.
            epoch: Number of the pass.
            group_size: Members of a group that stand side by side, as far as they are in one pool.
        Raises:
            DataError: if there are no groups to put side by side.
        """

        def announce(now: list[int], soon: list[int]) -> None:
            if len(now) <= self._shelf.capacity:
                self._shelf.expect(now, soon)

        groups = known_groups(self.groups, self.spec).cpu() if group_size > 1 else None
        return PooledOrder(self._lengths, self.pool, (seed, "epoch", epoch), announce, groups, group_size)

    def wait(self) -> None:
        """Waits until what is read ahead has been read."""
        wait([reading for _, reading in self._shelf.held.values()])

    def to(self, device: torch.device | str) -> StreamedSplit:
        """The same split with its batches on another device."""
        return replace(self, device=torch.device(device))

    def take(self, index: Index) -> Split:
        """The examples with these numbers, in memory; see :meth:`batch`."""
        index = rows_of(index, len(self), CPU)
        blocks, within = self._found(index)
        x = torch.empty(len(index), *self.spec.shape, dtype=stored_type(self.spec))
        named = {role: torch.empty(len(index), dtype=torch.int64) for role in self.rows.roles}
        numbers, counts = blocks.unique(return_counts=True)
        for number, here in zip(numbers.tolist(), blocks.argsort(stable=True).split(counts.tolist()), strict=True):
            stored, found = self.rows.read(number)
            x[here] = stored[within[here]]
            for role, own in named.items():
                own[here] = found[role][within[here]]
        return Split(x, self.spec, named).to(self.device)

    def subset(self, limit: int | None, *counters: int | str) -> Split | StreamedSplit:
        """A seeded random subset of at most ``limit`` examples, in memory: from as few random pools as hold so many."""
        if limit is None or limit >= len(self):
            return self
        return self.take(PooledOrder(self._lengths, self.pool, ("subset", *counters))[:limit].sort().values)

    def batch(self, index: Index, draws: torch.Generator | None = None) -> Batch:
        """Gathers examples by number, scales them to x, and binarises if the spec says so.

        Args:
            index: The number of an example, those of some, a mask of all, or a slice.
            draws: Generator of the dynamic binarisation, on this split's device.
        Raises:
            DataError: if there are no such examples.
        """
        index = rows_of(index, len(self), CPU)
        blocks, within = self._found(index)
        needed = blocks.unique().tolist()
        if len(needed) > self._shelf.capacity:
            return self.take(index).batch(slice(None), draws)
        self._shelf.expect(needed, ())
        return self._batch(self._shelf.gather(blocks, within), draws)

    def _batch(self, found: Stored, draws: torch.Generator | None = None) -> Batch:
        stored, named = found
        there = {role: numbers.to(self.device) for role, numbers in named.items()}
        return Batch(to_x(stored.to(self.device), self.spec, draws), there)

    def _found(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The block that each row lies in, and its number within it."""
        blocks = torch.searchsorted(self._starts, index, right=True) - 1
        return blocks, index - self._starts[blocks]

    def batches(self, size: int) -> Iterator[Batch]:
        """All examples in order. A dynamic split should be made :meth:`fixed` first."""
        starts = torch.arange(0, len(self), size)
        first, last = (self._found(rows)[0] for rows in (starts, (starts + size - 1).clamp(max=len(self) - 1)))
        shelf = Shelf(self.rows, self.spec, int((last - first).max()) + AT_ONCE)
        for start, now, end in zip(starts.tolist(), first.tolist(), last.tolist(), strict=True):
            shelf.expect(range(now, end + 1), range(end + 1, min(end + AT_ONCE, len(self._lengths))))
            blocks, within = self._found(torch.arange(start, min(start + size, len(self))))
            yield self._batch(shelf.gather(blocks, within))

    def fixed(self, *counters: int | str) -> StreamedSplit:
        """A split whose binarisation is drawn once for each block, so that judging it twice gives the same number."""
        if self.spec.binarize == "none":
            return self
        return replace(self, rows=Drawn(self.rows, self.spec, counters), spec=drawn_once(self.spec))


@dataclass(frozen=True)
class Drawn:
    """Rows made binary, by draws that follow from the counters and the block.

    Args:
        rows: The rows as they are stored.
        spec: What they are, and how they become binary.
        counters: Decide the draws.
    """

    rows: Rows
    spec: DataSpec
    counters: tuple[int | str, ...]

    @property
    def lengths(self) -> Sequence[int]:
        """Rows of each block."""
        return self.rows.lengths

    @property
    def roles(self) -> Sequence[str]:
        """What every row has a number for."""
        return self.rows.roles

    def read(self, number: int) -> Stored:
        """The rows of a block, and their numbers by role."""
        stored, named = self.rows.read(number)
        with part_of_batch(0, 1):  # every process draws the whole block
            x = to_x(stored, self.spec, generator("binarize", *self.counters, number))
        return x.to(torch.uint8), named

    def named(self, number: int) -> dict[str, Tensor]:
        """The numbers of a block alone."""
        return self.rows.named(number)
