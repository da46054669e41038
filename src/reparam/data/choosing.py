"""Examples chosen by number, as whoever asks for them writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reparam.errors import DataError

Index = int | slice | Sequence[int] | Sequence[bool] | NDArray[Any] | Tensor
_HOW = "expected a whole number, some of them, a mask or a slice, such as 0, [0, 5] or slice(0, 16)"


def are_neighbours(index: Index) -> TypeGuard[slice]:
    """True of a slice of examples side by side, for which nothing is copied."""
    return (
        isinstance(index, slice)
        and index.step is None
        and all(end is None or isinstance(end, int) for end in (index.start, index.stop))
    )


def rows_of(index: Index, count: int, device: torch.device) -> Tensor:
    """The numbers of the examples that are chosen, (n,), on a device.

    Numbers that lie on a GPU already are not checked, because it would have to wait.

    Args:
        index: A number, some of them, a mask of all examples, or a slice; negative numbers count from the end.
        count: How many examples there are.
        device: Where their numbers are wanted.
    Raises:
        DataError: if it is none of these, or there are no such examples.
    """
    if isinstance(index, slice):
        try:
            return torch.tensor(range(*index.indices(count)), dtype=torch.int64, device=device)
        except (TypeError, ValueError) as error:
            raise DataError(f"The index is {index}: {error}.") from None
    rows = index if isinstance(index, Tensor) else _tensor(index)
    if rows.dtype == torch.bool and tuple(rows.shape) == (count,):
        return rows.nonzero().flatten().to(device)
    if rows.dtype in (torch.bool, torch.uint8) or rows.is_floating_point() or rows.is_complex() or rows.ndim > 1:
        found = f"{rows.dtype} values of shape {tuple(rows.shape)}".removeprefix("torch.")
        raise DataError(f"The index holds {found}, {_HOW}; a mask has a value for each of the {count:,} items.")
    rows = rows.long().reshape(-1)
    if rows.device.type == "cpu" and len(rows):
        least, most = (int(end) for end in rows.aminmax())
        if least < -count or most >= count:
            wrong = least if least < -count else most
            raise DataError(f"There is no item {wrong:,}: there are {count:,}, from 0 to {count - 1:,}.")
        if least < 0:
            rows = torch.where(rows < 0, rows + count, rows)
    return rows.to(device)


def _tensor(index: Any) -> Tensor:
    """Numbers as a tensor."""
    try:
        found = np.asarray(index)
        return torch.as_tensor(found if found.size else found.astype(np.int64))
    except (TypeError, ValueError):
        raise DataError(f"The index is {str(index)[:80]!r}, {_HOW}.") from None
