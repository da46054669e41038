"""Likelihoods of binary values, and of real values in [0, 1]."""

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent

from reparam.distributions import JointBernoulli, LogitsContinuousBernoulli, joint
from reparam.likelihoods.base import Likelihood
from reparam.shapes import Shape


class BernoulliLikelihood(Likelihood):
    r"""Each value is 0 or 1; the decoder gives logits.

    .. math:: \log p(x \mid z) = \sum_d \left[x_d h_d - \mathrm{softplus}(h_d)\right]

    Shapes:
        h: (*batch, *data_shape)
    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114, eq. 11.
    """

    binary = True
    unit_interval = True

    def __init__(self, data_shape: Shape) -> None:
        super().__init__(data_shape)

    def distribution(self, h: Float[Tensor, "..."]) -> Independent:
        return JointBernoulli(h, len(self.data_shape))


class ContinuousBernoulliLikelihood(Likelihood):
    r"""Each value is a real number in [0, 1]: the Bernoulli form with its missing normaliser.

    .. math:: p(x \mid \lambda) = C(\lambda)\, \lambda^x (1 - \lambda)^{1 - x}

    Shapes:
        h: (*batch, *data_shape), logits of lambda
    Source:
        The continuous Bernoulli (Loaiza-Ganem & Cunningham, 2019), arXiv:1907.06845, eq. 6.
    """

    unit_interval = True

    def __init__(self, data_shape: Shape) -> None:
        super().__init__(data_shape)

    def distribution(self, h: Float[Tensor, "..."]) -> Independent:
        return joint(LogitsContinuousBernoulli(h), len(self.data_shape))
