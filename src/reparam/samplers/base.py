"""What every sampler is, and how those with networks are trained."""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.data import Data, DataSpec, Split
from reparam.errors import PartError
from reparam.rng import generator
from reparam.trace import Bound, HasNamedValues, Player, Progress
from reparam.training import Trainer, TrainSettings

MOST_DIMS = 1 << 20
VALIDATION = 0.1
BATCH = 128


class Sampler(nn.Module, ABC):
    """A distribution over z that is fitted to codes of data after a model was trained.

    Args:
        latent_dim: Number of values of one code, L.
    Raises:
        PartError: if latent_dim is below 1, or above 2^20.
    """

    on_meta = True  # False for those that cannot be built on torch's meta device, to be weighed there
    takes_scales = False  # True for those that are also told the scale of q(z|x) around each code
    over_codes = False  # True for those over the numbers of codes from a finite set

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if not 1 <= latent_dim <= MOST_DIMS:
            raise PartError(f"{type(self).__name__}: latent_dim is {latent_dim}, expected 1 to {MOST_DIMS:,}.")
        self.latent_dim = latent_dim

    @abstractmethod
    def fit(self, z: Float[Tensor, "N L"], seed: int = 0) -> None:
        """Fits the distribution to codes; every draw follows from the seed."""

    @abstractmethod
    def sample(self, n: int) -> Float[Tensor, "N L"]:
        """New codes, drawn from torch's current generator."""


class TrainedSampler(Sampler, ABC):
    """A sampler whose network is trained by the package's own loop, on codes in standard units.

    Args:
        latent_dim: Number of values of one code, L.
        steps: Steps of training, at least 1.
    """

    shift: Tensor
    scale: Tensor
    learning_rate = 2e-3

    def __init__(self, latent_dim: int, steps: int) -> None:
        super().__init__(latent_dim)
        if steps < 1:
            raise PartError(f"{type(self).__name__}: steps is {steps}, expected at least 1.")
        self.steps = steps
        self.register_buffer("shift", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))

    @abstractmethod
    def bound(self, z: Float[Tensor, "B L"]) -> Float[Tensor, " B"]:
        """What training maximises, for codes in standard units: log p(z), or a bound of it."""

    def fit(self, z: Float[Tensor, "N L"], seed: int = 0) -> None:
        self.standardize(z)
        data = _split((z - self.shift) / self.scale, seed)
        best: dict[str, Tensor] = {}

        def keep() -> None:
            best.update({name: tensor.detach().clone() for name, tensor in self.state_dict().items()})

        per_epoch = max(1, len(data.train) // BATCH)
        settings = TrainSettings(
            batch_size=BATCH,
            epochs=math.ceil(self.steps / per_epoch),
            learning_rate=self.learning_rate,
            validations=10,
            tensorboard=False,
        )
        Trainer(self, data, _Fit(), settings, seed=seed, keep=keep).run()
        self.load_state_dict(best)
        self.eval()

    def standardize(self, z: Float[Tensor, "N L"]) -> None:
        """Takes the mean and the spread of the codes as units; a value that never changes keeps its own."""
        self.shift.copy_(z.mean(0))
        spread = z.std(0, correction=0)
        self.scale.copy_(torch.where(spread > 0, spread, 1.0))


class _Fit(nn.Module):
    """The objective of a sampler: its own bound."""

    def forward(self, model: Any, batch: HasNamedValues, progress: Progress) -> Bound:
        value = model.bound(batch.x)
        return Bound(value, {"elbo": value.detach()})

    def players(self, model: Any) -> tuple[Player, ...]:
        """The sampler, alone."""
        return (Player("sampler", tuple(model.parameters()), lambda batch, progress: self(model, batch, progress)),)


def _split(z: Tensor, seed: int) -> Data:
    """Codes as data, a random tenth of them for validation; of fewer than ten, all serve as both."""
    spec = DataSpec("codes", tuple(z.shape[1:]), "real")
    order = torch.randperm(len(z), generator=generator(seed, "sampler")).to(z.device)
    cut = int(VALIDATION * len(z))
    train, validation = Split(z[order[cut:]], spec), Split(z[order[: cut or len(z)]], spec)
    return Data(train, validation, validation)
