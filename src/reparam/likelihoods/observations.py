"""Likelihoods of several observations of one thing."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.distributions import OneHot, SideBySide
from reparam.errors import PartError
from reparam.likelihoods.base import Likelihood
from reparam.shapes import Shape, numel, places


class OneHotLikelihood(Likelihood):
    r"""One class among C, written one-hot; the decoder gives logits, and the mean is the probability of each class.

    .. math:: \log p(x \mid z) = \sum_c x_c \log \mathrm{softmax}(h)_c

    Shapes:
        h: (*batch, C)
    Raises:
        PartError: if x is no vector.
    """

    of_classes = True

    def __init__(self, data_shape: Shape) -> None:
        if len(data_shape) != 1:
            raise PartError(f"OneHotLikelihood: x is {tuple(data_shape)}, expected one-hot vectors (C,).")
        super().__init__(data_shape)

    def distribution(self, h: Float[Tensor, "..."]) -> OneHot:
        return OneHot(h.unsqueeze(-2))


class ObservationsLikelihood(Likelihood):
    r"""Observations that are independent given z, each with a likelihood of its own; NaN in x is missing.

    .. math:: \log p(x \mid z) = \sum_{m \text{ there}} \log p_m(x_m \mid z)

    Shapes:
        h: (*batch, N), the numbers that each likelihood needs, flattened and side by side
        x: (D,), the observations, flattened and side by side
    Args:
        likelihoods: One for each observation.
    Raises:
        PartError: if there is none, or one whose scale is optimal for a whole batch.
    """

    def __init__(self, likelihoods: Sequence[Likelihood]) -> None:
        if not likelihoods:
            raise PartError("ObservationsLikelihood: got no likelihood, expected one for each observation.")
        if any(getattr(getattr(one, "base", one), "scale", None) == "optimal" for one in likelihoods):
            raise PartError(
                "ObservationsLikelihood: an optimal scale is that of whole observations, and some are missing. "
                "Take the scale 'learned'."
            )
        super().__init__((sum(numel(one.data_shape) for one in likelihoods),))
        self.likelihoods = nn.ModuleList(likelihoods)
        self.shapes = [one.data_shape for one in likelihoods]
        self.places = places(self.shapes)
        self.out_places = places([one.out_shape for one in likelihoods])

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True where one of them begins from data."""
        return any(bool(getattr(one, "starts", False)) for one in self.likelihoods)

    @property
    def out_shape(self) -> Shape:
        return (self.out_places[-1].stop,)

    def distribution(self, h: Float[Tensor, "..."]) -> SideBySide:
        pairs = zip(self.likelihoods, self.out_places, strict=True)
        return SideBySide([one(h[..., place].unflatten(-1, one.out_shape)) for one, place in pairs])

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."]) -> None:
        for one, place in zip(self.likelihoods, self.places, strict=True):
            assert isinstance(one, Likelihood)
            own = x[:, place].unflatten(-1, one.data_shape)
            whole = own[~own.isnan().flatten(1).any(1)]
            if one.starts and len(whole):  # of others it begins where it would without data
                one.start(whole)
