"""How the judges of benchmarks learn: AdamW with one cycle of its rate, over shuffled batches."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from reparam.data import Batch, Split


def learn(
    parameters: Iterable[nn.Parameter],
    split: Split,
    loss_of: Callable[[Batch], Tensor],
    *,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
    weight_decay: float = 0.05,
) -> None:
    """Minimises a loss over batches of a split; random draws are the caller's to seed.

    Args:
        parameters: What moves.
        split: The examples.
        loss_of: The loss of a batch.
        steps: Number of steps.
        batch_size: Examples in a batch, at most all of them.
        rate: Highest learning rate.
        seed: Decides the order of the examples.
        weight_decay: Of AdamW.
    """
    size = min(batch_size, len(split))
    each = len(split) // size
    optimizer = torch.optim.AdamW(parameters, rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps + 1)
    for step in range(steps):
        epoch, place = divmod(step, each)
        if place == 0:
            order = split.order(seed, epoch)
        loss = loss_of(split.batch(order[place * size : (place + 1) * size]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def shifted(x: Tensor, far: int) -> Tensor:
    """Pictures moved by up to so many pixels to each side, what leaves on one side coming in on the other."""
    return x.roll(tuple(int(shift) for shift in torch.randint(-far, far + 1, (2,))), (-2, -1))
