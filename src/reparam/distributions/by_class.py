"""A class, and then a code that depends on it."""

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size

from reparam.distributions.independent import is_density
from reparam.distributions.one_hot import OneHot
from reparam.distributions.tempering import tempered


class Reshaped(Distribution):
    """A distribution of batch (N,), seen with another batch shape of as many members.

    Args:
        base: Batch (N,), event (L,).
        batch_shape: Another shape of N members.
    """

    arg_constraints = {}
    support = constraints.real

    def __init__(self, base: Distribution, batch_shape: _size) -> None:
        self.base, self.normalized = base, is_density(base)
        super().__init__(Size(batch_shape), base.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base.has_rsample

    @property
    def mean(self) -> Tensor:
        return self.base.mean.unflatten(-2, self.batch_shape)

    @property
    def variance(self) -> Tensor:
        return self.base.variance.unflatten(-2, self.batch_shape)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "Reshaped":
        return Reshaped(self.base, batch_shape)

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        return self.base.sample(sample_shape).unflatten(-2, self.batch_shape)

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self.base.rsample(sample_shape).unflatten(-2, self.batch_shape)

    def tempered(self, shape: _size, temperature: float) -> Tensor:
        """Draws of the base at a temperature."""
        return tempered(self.base, shape, temperature).unflatten(-2, self.batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        rank = len(self.batch_shape)
        wide = value.expand(*value.shape[: -1 - rank], *self.batch_shape, value.shape[-1])
        return self.base.log_prob(wide.flatten(-1 - rank, -2)).unflatten(-1, self.batch_shape)


class ByClass(Distribution):
    r"""A class y among C, written one-hot, and a style s whose distribution depends on it, side by side.

    .. math:: p(y, s) = \pi_y\, p_y(s), \qquad z = [y, s]

    ``log_prob`` is linear in y between the one-hot vectors, where the means of codes lie. The mean of s is its mean
    over the classes. Draws of y pass no gradient.

    Shapes:
        logits: (*batch, C);  styles: batch (*batch, C), event (L,)  ->  event (C + L,)
    Args:
        logits: Unnormalised log probabilities of the classes.
        styles: p_y(s) of every class.
    """

    arg_constraints = {}
    support = constraints.real
    entangled = True

    def __init__(self, logits: Tensor, styles: Distribution) -> None:
        self.log_probs, self.styles, self.classes = logits.log_softmax(-1), styles, logits.shape[-1]
        self.normalized = is_density(styles)
        super().__init__(logits.shape[:-1], Size([self.classes + styles.event_shape[0]]), validate_args=False)

    @property
    def probs(self) -> Tensor:
        """Probability of each class, (*batch, C)."""
        return self.log_probs.exp()

    @property
    def mean(self) -> Tensor:
        return torch.cat([self.probs, of_class(self.probs, self.styles.mean)], -1)

    @property
    def variance(self) -> Tensor:
        means = self.styles.mean
        apart = (means - of_class(self.probs, means).unsqueeze(-2)).square()
        style = of_class(self.probs, self.styles.variance + apart)
        return torch.cat([self.probs * (1 - self.probs), style], -1)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "ByClass":
        shape = Size(batch_shape)
        return ByClass(self.log_probs.expand(*shape, self.classes), self.styles.expand(Size([*shape, self.classes])))

    def choose(self, shape: _size = Size(), temperature: float = 1.0) -> Tensor:
        """Draws of y, one-hot; odds are divided by the temperature."""
        with torch.no_grad():
            return OneHot(self.log_probs.unsqueeze(-2)).tempered(Size(shape), temperature)

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        return self.tempered(sample_shape, 1.0)

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        """Draws whose style has a gradient, and whose class has none."""
        y = self.choose(sample_shape)
        return torch.cat([y, of_class(y, self.styles.rsample(Size(sample_shape)))], -1)

    def tempered(self, shape: _size, temperature: float) -> Tensor:
        """Draws at a temperature: of the class, and of the style given the class."""
        y = self.choose(shape, temperature)
        with torch.no_grad():
            return torch.cat([y, of_class(y, tempered(self.styles, Size(shape), temperature))], -1)

    def log_prob_of_style(self, value: Tensor) -> Tensor:
        """log p_y(s) at the class that z names."""
        y, style = value[..., : self.classes], value[..., self.classes :]
        return (y * self.styles.log_prob(style.unsqueeze(-2).expand(*y.shape, style.shape[-1]))).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        return (value[..., : self.classes] * self.log_probs).sum(-1) + self.log_prob_of_style(value)


def of_class(y: Tensor, styles: Tensor) -> Tensor:
    """The style of the class y, or the mean over its probabilities: (..., C), (..., C, L) -> (..., L)."""
    return (y.unsqueeze(-1) * styles).sum(-2)
