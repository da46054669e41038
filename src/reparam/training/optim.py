"""One optimiser for each player, and the learning rate over the steps."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from reparam.trace import Player, Progress
from reparam.training.settings import TrainSettings

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def make_optimizer(player: Player, settings: TrainSettings) -> torch.optim.Optimizer:
    """Fused Adam or AdamW over the player's parameters."""
    return OPTIMIZERS[settings.optimizer](
        player.parameters,
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def rate_factor(settings: TrainSettings, progress: Progress, halvings: int) -> float:
    """The learning rate at this point, as a share of its peak."""
    fraction = progress.fraction
    warmup = settings.learning_rate_warmup
    if progress.planned_fraction < warmup:
        return min(1.0, (progress.step + 1) / (warmup * (progress.planned_steps or progress.total_steps)))
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * max(0.0, fraction - warmup) / max(1e-9, 1 - warmup)))
    return 0.5**halvings if settings.schedule == "plateau" else 1.0


def flatten_state(optimizers: Iterable[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The optimisers' tensors by ``player.parameter.key``."""
    tensors = {}
    for number, optimizer in enumerate(optimizers):
        for parameter, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"{number}.{parameter}.{key}"] = torch.as_tensor(value)
    return tensors


def restore_state(optimizers: Iterable[torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    """Takes back what :func:`flatten_state` gave."""
    for number, optimizer in enumerate(optimizers):
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            player, index, key = name.split(".", 2)
            if int(player) == number:
                like = parameters[int(index)]
                if tensor.shape == like.shape:  # fused kernels walk both in memory order
                    tensor = torch.empty_like(like, dtype=tensor.dtype).copy_(tensor)
                state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
