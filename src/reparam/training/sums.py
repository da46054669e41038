"""Sums of terms, kept on the device and read when a row is written."""

import torch
from torch import Tensor

from reparam.processes import Processes
from reparam.trace import Bound


class Sums:
    """Sums each term over batches, example by example; nothing is read from the device before :meth:`means`."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, bound: Bound, loss: Tensor, finite: Tensor | bool = True, name: str = "loss") -> None:
        """Adds the terms of a batch, one value per example each, and its loss by name; zeros where not ``finite``."""
        count = len(bound.value)
        for term, value in bound.terms.items():
            self._add(term, value.detach(), count, finite)
        self._add(name, loss.detach() * count, count, finite)

    def _add(self, name: str, value: Tensor, count: int, finite: Tensor | bool) -> None:
        if isinstance(finite, Tensor):
            value = value.where(finite, 0.0)
        held = self.values.get(name)
        if held is None:
            self.values[name] = value.clone()
        elif held.shape == value.shape:
            held.add_(value)
        else:
            self.values[name] = held.sum() + value.sum()
        self.counts[name] = self.counts.get(name, 0) + count

    def means(self, processes: Processes | None = None) -> dict[str, float]:
        """The mean of each term over all examples, of all processes."""
        if not self.values:
            return {}
        sums = torch.stack([value.sum() for value in self.values.values()])
        both = torch.cat([sums, sums.new_tensor([float(self.counts[name]) for name in self.values])])
        totals, counts = (processes or Processes()).total(both).cpu().double().chunk(2)
        return dict(zip(self.values, (totals / counts).tolist(), strict=True))

    def state(self, processes: Processes) -> dict[str, Tensor]:
        """The sums and the counts by name, of each process."""
        counts = {f"count.{name}": processes.gather(torch.tensor(count)) for name, count in self.counts.items()}
        return {f"sum.{name}": processes.gather(value) for name, value in self.values.items()} | counts

    def load(self, state: dict[str, Tensor], processes: Processes) -> None:
        """Takes back what :meth:`state` gave; of another number of processes, the first one takes all."""
        for name in (key.removeprefix("sum.") for key in state if key.startswith("sum.")):
            values, counts = state[f"sum.{name}"], state[f"count.{name}"]
            if len(values) == processes.world:
                self.values[name], self.counts[name] = values[processes.rank].clone(), int(counts[processes.rank])
            else:
                here = float(processes.writes)
                self.values[name], self.counts[name] = here * values.sum(), int(here * counts.sum())
