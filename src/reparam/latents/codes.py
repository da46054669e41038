"""What all tools for the latent space share: items in, codes out, and codes back into items."""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import Parameter

from reparam.distributions import EUCLIDEAN, Space
from reparam.errors import ShapeError
from reparam.shapes import Shape

_CHUNK = 256


@runtime_checkable
class HasLatents(Protocol):
    """What the tools of this folder ask of a model: its sizes, infer and decode."""

    @property
    def data_shape(self) -> Shape: ...

    @property
    def latent_dim(self) -> int: ...

    @property
    def prior(self) -> Callable[..., Distribution] | None: ...

    def p_z(self) -> Distribution: ...

    def infer(self, x: Tensor) -> Distribution: ...

    def decode(self, z: Tensor) -> Distribution: ...

    def parameters(self) -> Iterator[Parameter]: ...


def home(model: HasLatents) -> Tensor:
    """The origin of the latent space, (L,), on the model's device and in its dtype."""
    example = next(iter(model.parameters()), None)
    return torch.zeros(model.latent_dim) if example is None else example.new_zeros(model.latent_dim).detach()


def onto_space(model: HasLatents, z: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
    """Points of the model's latent space near z: on a sphere or in a ball, straight lines leave it."""
    space: Space = getattr(model, "space", EUCLIDEAN)
    return space.nearest(z)


@torch.no_grad()
def posterior_means(model: HasLatents, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    r"""Encodes items as the means of their posteriors.

    .. math:: \mu(x) = E_{q(z \mid x)}[z]

    Shapes:
        x: (*data_shape) or (B, *data_shape), on any device  ->  (L,) or (B, L), on the model's device

    Raises:
        ShapeError: if x is no tensor, or has another shape.
    """
    if not isinstance(x, Tensor):
        raise ShapeError(f"An item is a {type(x).__name__}, expected a tensor, such as data.test.batch([0]).x[0].")
    rank = len(model.data_shape)
    if tuple(x.shape[x.ndim - rank :]) != tuple(model.data_shape) or x.ndim not in (rank, rank + 1):
        raise ShapeError(
            f"Got items of shape {tuple(x.shape)}, the model was built for {tuple(model.data_shape)}. "
            "Pass one such item, or a batch of them along a first axis."
        )
    _require_one(model, 1 if x.ndim == rank else len(x))
    batch = (x.unsqueeze(0) if x.ndim == rank else x).to(home(model))
    means = (
        torch.cat([model.infer(part).mean for part in torch.split(batch, _CHUNK)])
        if len(batch)
        else home(model)[None][:0]
    )
    return means[0] if x.ndim == rank else means


def _require_one(model: HasLatents, count: int) -> None:
    """A model that was told one thing for each of several examples cannot be asked some hundred at a time.

    Raises:
        ShapeError: if it was, and more are asked for than fit at once.
    """
    if getattr(model, "told_each", False) and count > _CHUNK:
        raise ShapeError(f"The model was told of each example apart; ask for at most {_CHUNK} codes at a time.")


@torch.no_grad()
def decoded_means(model: HasLatents, z: Float[Tensor, "... L"]) -> Float[Tensor, "..."]:
    r"""Decodes codes into the means of p(x|z), some hundred at a time.

    .. math:: \hat x(z) = E_{p(x \mid z)}[x]

    Shapes:
        z: (*batch, L)  ->  (*batch, *data_shape)
    """
    rows = z.reshape(-1, z.shape[-1])
    _require_one(model, len(rows))
    decoded = torch.cat([model.decode(part).mean for part in torch.split(rows, _CHUNK)])
    return decoded.reshape(*z.shape[:-1], *model.data_shape)
