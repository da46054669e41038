"""A small model, small data, and a trainer of one on the other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reparam.data import Data
from reparam.objectives import ELBO, Objective
from reparam.recipes import build
from reparam.rng import reseed
from reparam.trace import Bound, Player, Progress, Trace
from reparam.training import Trainer, TrainSettings
from tests.contracts.members import tiny_data


def settings(**given: Any) -> TrainSettings:
    """Short training without TensorBoard."""
    return TrainSettings(**({"batch_size": 8, "epochs": 4, "validations": 4, "tensorboard": False} | given))


def trainer(
    folder: Path | None = None,
    recipe: str = "sigma-vae",
    data: Data | None = None,
    objective: Any = None,
    seed: int = 0,
    keep: Callable[[], None] | None = None,
    progress: Any = None,
    **given: Any,
) -> Trainer:
    """A trainer of a recipe's model from a seed of its own."""
    data = data or tiny_data("unit", (4,))
    with torch.random.fork_rng():
        reseed(7)
        model = build(recipe, data)
    objective = objective or ELBO(warmup=0.3)
    return Trainer(model, data, objective, settings(**given), seed=seed, folder=folder, keep=keep, progress=progress)


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights and buffers."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def timeless(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of metrics without what depends on the clock."""
    return [{k: v for k, v in row.items() if k not in ("wall_s", "samples_per_s")} for row in rows]


class TwoPlayers(Objective):
    """Two players: the model maximises its ELBO less a critic's score of z; the critic moves its own bias only."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Linear(2, 1)

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        score = self.critic(trace.z[0])[:, 0]
        return Bound(trace.elbo - 0.1 * score, {"elbo": trace.elbo})

    def judge(self, model: Any, batch: Any) -> Bound:
        score = self.critic(model.encode(batch.x))[:, 0]
        return Bound(-(score - 1).square(), {"score": score})

    def players(self, model: Any) -> tuple[Player, ...]:
        return (
            Player("model", tuple(model.parameters()), lambda batch, progress: self(model, batch, progress)),
            Player("critic", tuple(self.critic.parameters()), lambda batch, progress: self.judge(model, batch)),
        )
