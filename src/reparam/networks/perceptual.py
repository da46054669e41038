"""The distance of two pictures in the features of a network."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError, nearest
from reparam.networks.feature_networks import FeatureNetwork, Read
from reparam.shapes import Shape

Norm = Literal["l1", "l2"]
TINY = 1e-8  # of a squared length: below it, features count as none


class PerceptualDistance(nn.Module):
    r"""Compares two pictures by the features that a network finds at each place of them.

    .. math::
        d(x, y) = \sum_l w_l \frac{1}{P_l} \sum_{p=1}^{P_l} \delta\bigl(u_{lp}(x), u_{lp}(y)\bigr), \qquad
        u_{lp} = \frac{f_{lp}}{\sqrt{\lVert f_{lp} \rVert_2^2 + 10^{-8}}}, \qquad
        \delta_2(a, b) = \lVert a - b \rVert_2^2, \quad \delta_1(a, b) = \frac{\lVert a - b \rVert_1}{\sqrt{c_l}}

    f_lp holds the c_l channels of layer l at position p of P_l. As it has length 1 there, neither the units of a layer
    nor the size of its map count: a layer gives at most 4 (l2; 2 where features are not negative) or 2 (l1). Equal
    pictures have distance 0; so may others, for a network forgets: it is no metric in the mathematical sense.

    Shapes:
        x: (\*N, C, H, W), y: (\*M, C, H, W), both in [0, 1]  ->  (\*), the batches broadcast together
    Args:
        data_shape: Shape (C, H, W) of one picture.
        network: As of :class:`FeatureNetwork`.
        layers: As of :class:`FeatureNetwork`.
        weights: w_l, one for each layer, 0 or more; None for equal ones with the sum 1.
        distance: ``l1`` or ``l2``.
    Raises:
        PartError: if a setting makes no sense for these pictures.
    Source:
        The unreasonable effectiveness of deep features as a perceptual metric (Zhang et al., 2018), arXiv:1801.03924,
        eq. 1, without its weights of single channels, which were learned from people's judgements.
    Example:
        >>> import torch
        >>> distance = PerceptualDistance((3, 32, 32), "random")
        >>> x = torch.rand(5, 3, 32, 32)
        >>> distance(x, 1 - x).shape
        torch.Size([5])
    """

    def __init__(
        self,
        data_shape: Shape,
        network: str | nn.Module = "trained",
        layers: Sequence[int] | None = None,
        weights: Sequence[float] | None = None,
        distance: Norm = "l2",
    ) -> None:
        super().__init__()
        if distance not in get_args(Norm):
            raise PartError(f"distance is {distance!r}. {nearest(distance, get_args(Norm))}")
        self.network = FeatureNetwork(data_shape, network, layers)
        count = self.network.maps
        self.weights = (1 / count,) * count if weights is None else tuple(weights)
        if len(self.weights) != count or not all(0 <= weight < float("inf") for weight in self.weights):
            raise PartError(f"weights is {list(self.weights)}, expected {count} number(s) of 0 or more, one a layer.")
        self.distance = distance

    @property
    def name(self) -> str:
        """What it compares by, in words."""
        return f"{self.network.name}, {self.distance}"

    def start(self, x: Float[Tensor, "N C H W"], read: Read | None = None) -> None:
        """Gives the network its weights, once: see :meth:`FeatureNetwork.start`."""
        self.network.start(x, read)

    def forward(self, x: Float[Tensor, "*N C H W"], y: Float[Tensor, "*M C H W"]) -> Float[Tensor, "..."]:
        with torch.autocast(x.device.type, enabled=False):
            total = x.new_zeros(())
            for weight, a, b in zip(self.weights, self._directions(x), self._directions(y), strict=True):
                total = total + weight * self._gap(a, b)
        return total

    def _directions(self, x: Tensor) -> list[Tensor]:
        """The features of each layer with length 1 at each position: (\\*N, c, P)."""
        batch = x.shape[:-3]
        maps = [found.flatten(2) if found.dim() > 2 else found.unsqueeze(-1) for found in self._maps(x)]
        units = [found * (found.square().sum(1, keepdim=True) + TINY).rsqrt() for found in maps]
        return [unit.reshape(*batch, *unit.shape[1:]) for unit in units]

    def _maps(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = self.network(x.reshape(-1, *x.shape[-3:]))
        return found

    def _gap(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean over the positions, (\\*N)."""
        if self.distance == "l2":
            return (a - b).square().sum(-2).mean(-1)
        return (a - b).abs().sum(-2).mean(-1) / a.shape[-2] ** 0.5
