"""Features of real and of made examples, brought together: of pairs, and of means over a batch and over classes."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError
from reparam.networks import Discriminator, Seen
from reparam.processes import Processes
from reparam.shapes import Shape
from reparam.trace import Bound


def half_squared(x: Float[Tensor, "B ..."], y: Float[Tensor, "B ..."]) -> Float[Tensor, " B"]:
    r"""Half the squared distance of each pair, :math:`\frac12 \|x - y\|^2`."""
    return 0.5 * (x - y).square().flatten(1).sum(1)


def mean_distance(real: Float[Tensor, "B F"], made: Float[Tensor, "B F"], group: Processes) -> Float[Tensor, ""]:
    r"""Half the squared distance of the mean features, estimated from two batches without bias.

    .. math::
        \mathcal{L}_{GD} = \tfrac12 \| E f(x) - E f(x') \|^2 \approx
        \tfrac12 \sum_k \left[ (\bar f_k - \bar f'_k)^2 - \tfrac1n (s_k^2 + s_k'^2) \right]

    The means of n examples each are off by chance, and so the first term alone is too large by their variances, of
    which the sample variances s^2 are unbiased estimates: whoever minimised it would also be paid for making examples
    that vary little, the more so the smaller the batch. The estimate is below 0 at times.

    Source:
        CVAE-GAN (Bao et al., 2017), arXiv:1703.10155, eq. 4; Improved techniques for training GANs (Salimans et al.,
        2016), arXiv:1606.03498, section 3.1. Without bias: as A kernel two-sample test (Gretton et al., 2012), lemma 6,
        with the linear kernel.
    """
    means = [group.mean(features.mean(0)) for features in (real, made)]
    pairs = zip((real, made), means, strict=True)
    spreads = [group.mean((features - mean).square().mean(0)) for features, mean in pairs]
    off = sum(spreads) / max(1, len(made) * group.world - 1)
    return 0.5 * ((means[0] - means[1]).square() - off).sum()


class ClassMatching(nn.Module):
    r"""A classifier of real examples, in whose features the classes of made ones are to have the real ones' means.

    .. math:: \mathcal{L}_{GC} = \tfrac12 \sum_c \| E f_C(x_c) - E f_C(x'_c) \|^2

    The real means are running ones; the made ones are those of a batch, over the classes that are in it.

    Args:
        data_shape: Shape of one example.
        classes: Number of classes.
        settings: ``channels``, ``hidden_dim`` and ``spectral`` of the classifier.
        units: ``shift`` and ``scale`` of the data, where they have any.
        momentum: What remains of a running mean in a step in which its class was seen.
    Raises:
        PartError: if there are fewer than two classes.
    Source:
        CVAE-GAN (Bao et al., 2017), arXiv:1703.10155, eqs. 1 and 5, with its moving averages.
    """

    centres: Tensor
    known: Tensor

    def __init__(
        self,
        data_shape: Shape,
        classes: int,
        settings: Mapping[str, Any],
        units: dict[str, Any] | None = None,
        momentum: float = 0.9,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise PartError(
                f"ClassMatching: the model is told of {classes} classes, expected several. Take labelled data and a "
                "model that is told the class, such as that of 'cvae' or 'cgan'."
            )
        self.network = Discriminator(data_shape, classes, **settings, units=units)
        self.classes, self.momentum = classes, momentum
        self.register_buffer("centres", torch.zeros(classes, self.network.head.in_features))
        self.register_buffer("known", torch.zeros(classes))

    def forward(self, x: Float[Tensor, "B ..."]) -> Seen:
        seen: Seen = self.network(x)
        return seen

    def learn(self, x: Float[Tensor, "B ..."], c: Float[Tensor, "B C"], group: Processes) -> Bound:
        """Log P(c|x) of real examples, nats, which the classifier maximises; the means of its features move on.

        An example whose class is not known (all zeros) says nothing.
        """
        seen = self(x)
        log_probs = F.log_softmax(seen.outputs, 1)
        right = (log_probs.argmax(1) == c.argmax(1)).to(x)
        if self.training:
            self._move(seen.coarse.detach(), c, group)
        known = c.sum(1)
        share = group.mean(known.mean()).clamp_min(1e-12)
        value = (c * log_probs).sum(1) / share  # so that its mean is one over those that are known
        return Bound(value, {"classifier": value.detach(), "classifier_accuracy": right * known / share})

    @torch.no_grad()
    def _move(self, features: Tensor, c: Tensor, group: Processes) -> None:
        means, counts = _by_class(features, c, group)
        kept = torch.where(self.known > 0, self.momentum, 0.0).unsqueeze(1)
        there = (counts > 0).unsqueeze(1)
        self.centres.copy_(torch.where(there, kept * self.centres + (1 - kept) * means, self.centres))
        self.known.copy_(torch.maximum(self.known, (counts > 0).to(self.known)))

    def distance(self, made: Float[Tensor, "B F"], c: Float[Tensor, "B C"], group: Processes) -> Float[Tensor, ""]:
        r"""Half the squared distances of the classes' means from the running ones of real examples, without bias.

        .. math::
            \tfrac12 \sum_c \sum_k \left[ (\bar f'_{c,k} - \mu_{c,k})^2 - \tfrac1{n_c} s_{c,k}'^2 \right]

        over the classes of which at least two made examples are there, and real ones were: with the sample variances
        taken off as in :func:`mean_distance`, nothing is gained by examples that vary little within a class.
        """
        means, shares = _by_class(made, c, group)
        spreads, _ = _by_class((made - c.to(made) @ means).square(), c, group)
        counts = shares * len(made) * group.world
        there = (counts > 1.5) & (self.known > 0)
        each = (means - self.centres).square() - spreads / (counts - 1).clamp_min(1.0).unsqueeze(1)
        return 0.5 * (each.sum(1) * there).sum()


def _by_class(features: Tensor, c: Tensor, group: Processes) -> tuple[Tensor, Tensor]:
    """The mean features of each class, (C, F), and its share of the batch, (C,)."""
    c = c.to(features)
    counts = group.mean(c.mean(0))
    sums = group.mean(c.T @ features / len(features))
    return sums / counts.clamp_min(1e-12).unsqueeze(1), counts
