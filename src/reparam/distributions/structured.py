"""Choices, bounded numbers and noise side by side: a code whose parts are meant to mean something."""

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size

from reparam.distributions.one_hot import OneHot


class Structured(Distribution):
    r"""G equally likely choices among C classes, U uniform numbers in [-1, 1], and N Normal ones; L = G C + U + N.

    .. math:: p(z) = C^{-G}\; 2^{-U}\; \mathcal{N}(z_\mathrm{noise};\, 0, I)

    Choices are one-hot vectors. Beside one-hot vectors ``log_prob`` is continued linearly, beside [-1, 1] constantly.

    Shapes:
        zero: (*batch, L)  ->  event (L,)
    Args:
        zero: Zeros, which say how many dimensions there are, where and of which type.
        classes: C.
        choices: G.
        uniform: U.
    Source:
        InfoGAN (Chen et al., 2016), arXiv:1606.03657, section 4: structured latent variables beside noise.
    """

    has_rsample = True
    arg_constraints = {}
    support = constraints.real_vector

    def __init__(self, zero: Tensor, classes: int, choices: int, uniform: int) -> None:
        self.zero, self.classes, self.choices, self.uniform = zero, classes, choices, uniform
        self._split = [choices * classes, uniform, zero.shape[-1] - choices * classes - uniform]
        one_hot, _, self._noise = zero.split(self._split, -1)
        self._choice = OneHot(one_hot.unflatten(-1, (choices, classes)))
        super().__init__(zero.shape[:-1], zero.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return torch.cat([self._choice.mean, self.zero[..., self._split[0] :]], -1)

    @property
    def variance(self) -> Tensor:
        uniform = self.zero.new_full((*self.batch_shape, self.uniform), 1 / 3)
        return torch.cat([self._choice.variance, uniform, torch.ones_like(self._noise)], -1)

    @property
    def plain(self) -> Tensor:
        """A code to begin from, (*batch, L): the first class of each choice, and zeros."""
        one_hot = torch.zeros_like(self._choice.mean).unflatten(-1, (self.choices, self.classes))
        one_hot[..., 0] = 1
        return torch.cat([one_hot.flatten(-2), self.zero[..., self._split[0] :]], -1)

    @property
    def spread(self) -> Tensor:
        """How far each dimension reaches, (*batch, L): 1 for a class, the standard deviation of a number."""
        return torch.cat([torch.ones_like(self._choice.mean), self.variance[..., self._split[0] :].sqrt()], -1)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "Structured":
        zero = self.zero.expand(*batch_shape, self.zero.shape[-1])
        return Structured(zero, self.classes, self.choices, self.uniform)

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self.tempered(sample_shape, 1.0)

    def tempered(self, shape: _size, temperature: float) -> Tensor:
        """Draws whose numbers are multiplied by T; choices, all equally likely, stay so above T = 0."""
        shape = Size(shape) + self.batch_shape
        numbers = self.zero.new_empty((*shape, self.uniform)).uniform_(-1, 1)
        noise = self.zero.new_empty((*shape, self._split[2])).normal_()
        choice = self._choice.tempered(shape[: len(shape) - len(self.batch_shape)], temperature)
        return torch.cat([choice, temperature * numbers, temperature * noise], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        choice, numbers, noise = value.split(self._split, -1)
        normal = torch.distributions.Normal(self._noise, 1.0, validate_args=False).log_prob(noise).sum(-1)
        half = numbers.new_tensor(0.5).log()
        return self._choice.log_prob(choice) + numbers.shape[-1] * half + normal
