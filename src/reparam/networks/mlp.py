"""Multi-layer perceptrons: plain, gated and residual."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError, nearest
from reparam.networks.base import Decoder, Encoder
from reparam.networks.spectral import spectral_layers
from reparam.shapes import Shape, numel


class GatedLinear(nn.Module):
    r"""A linear layer with a gate of its own.

    .. math:: y = (W x + b) \odot \sigma(V x + c)

    Source:
        Language modeling with gated convolutional networks (Dauphin et al., 2017), arXiv:1612.08083, eq. 1.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, 2 * out_dim)

    def forward(self, x: Float[Tensor, "... F"]) -> Float[Tensor, "... F2"]:
        return nn.functional.glu(self.linear(x), -1)


class ResidualLinear(nn.Module):
    r"""Two layers beside a shortcut (a linear one where the width changes).

    .. math:: y = S x + W_2 \, \mathrm{relu}(W_1 \, \mathrm{relu}(x))
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.shortcut = nn.Identity() if in_dim == out_dim else nn.Linear(in_dim, out_dim)
        last = nn.Linear(out_dim, out_dim)
        nn.init.zeros_(last.weight)
        self.inner = nn.Sequential(nn.ReLU(), nn.Linear(in_dim, out_dim), nn.ReLU(), last)

    def forward(self, x: Float[Tensor, "... F"]) -> Float[Tensor, "... F2"]:
        return self.shortcut(x) + self.inner(x)


def _plain(in_dim: int, out_dim: int) -> nn.Module:
    return nn.Sequential(nn.Linear(in_dim, out_dim), nn.ReLU(inplace=True))


Layer = Literal["plain", "gated", "residual"]
LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "plain": _plain,
    "gated": GatedLinear,
    "residual": ResidualLinear,
}


def layers(owner: str, dims: Sequence[int], layer: Layer) -> nn.Sequential:
    """A stack of hidden layers between these widths.

    Raises:
        PartError: if there is no hidden layer, a width is below 1, or the layer is unknown.
    """
    if len(dims) < 2 or min(dims) < 1:
        raise PartError(f"{owner}: hidden_dims is {list(dims[1:])}, expected at least one width of 1 or more.")
    if layer not in LAYERS:
        raise PartError(f"{owner}: layer is {layer!r}. {nearest(layer, LAYERS)}")
    return nn.Sequential(*(LAYERS[layer](a, b) for a, b in pairwise(dims)))


class MLPEncoder(Encoder):
    """Flattens x and applies hidden layers.

    Shapes:
        x: (B, *data_shape)  ->  h: (B, hidden_dims[-1])
    Args:
        data_shape: Shape of one example.
        hidden_dims: Widths of the hidden layers, first to last.
        layer: ``plain`` (ReLU), ``gated`` or ``residual``.
    Raises:
        PartError: if hidden_dims is empty or the layer is unknown.
    """

    def __init__(self, data_shape: Shape, hidden_dims: Sequence[int] = (400,), layer: Layer = "plain") -> None:
        super().__init__(data_shape, hidden_dims[-1] if hidden_dims else 0)
        self.hidden_dims, self.layer = tuple(hidden_dims), layer
        self.net = layers(type(self).__name__, (numel(data_shape), *hidden_dims), layer)

    def features(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B F"]:
        return self.net(x.flatten(1))


class MLPDecoder(Decoder):
    """Applies hidden layers to z, then one linear layer in the shape the likelihood needs.

    Shapes:
        z: (N, latent_dim)  ->  h: (N, *out_shape)
    Args:
        latent_dim: Number of latent dimensions.
        out_shape: ``likelihood.out_shape``.
        hidden_dims: Widths of the hidden layers, from z to x.
        layer: ``plain`` (ReLU), ``gated`` or ``residual``.
        spectral: Divide each layer's weight by its norm, see :class:`~reparam.networks.Spectral`.
    Raises:
        PartError: if hidden_dims is empty or the layer is unknown.
    """

    def __init__(
        self,
        latent_dim: int,
        out_shape: Shape,
        hidden_dims: Sequence[int] = (400,),
        layer: Layer = "plain",
        spectral: bool = False,
    ) -> None:
        super().__init__(latent_dim, out_shape)
        self.hidden_dims, self.layer, self.spectral = tuple(hidden_dims), layer, spectral
        self.net = layers(type(self).__name__, (latent_dim, *hidden_dims), layer)
        self.out = nn.Linear(hidden_dims[-1], numel(out_shape))
        if spectral:
            spectral_layers(self)

    def forward(self, z: Float[Tensor, "N L"]) -> Float[Tensor, "N ..."]:
        return self.out(self.net(z)).reshape(z.shape[0], *self.out_shape)
