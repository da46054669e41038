"""KL divergence per latent group: closed form where one exists, Monte Carlo where none does."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, kl_divergence

from reparam.distributions.grouped import Grouped, kl_grouped, kl_grouped_at
from reparam.distributions.independent import factors, is_density
from reparam.distributions.normal import kl_normal
from reparam.distributions.one_hot import OneHot, kl_one_hot
from reparam.distributions.sphere import UniformSphere, VonMisesFisher, kl_to_uniform
from reparam.errors import PartError

KLMethod = Literal["auto", "closed", "sampled"]


def _full_normal_from_diagonal(q: MultivariateNormal, p: Independent) -> Tensor:
    r"""KL(N(m, S) || N(mu, diag s^2)) = 1/2 [tr(diag(s^-2) S) + |(m - mu)/s|^2 - L + 2 sum log s - log det S]."""
    loc, scale = p.base_dist.loc, p.base_dist.scale
    trace = (q.scale_tril / scale.unsqueeze(-1)).square().sum((-2, -1))
    distance = ((q.loc - loc) / scale).square().sum(-1)
    log_det = q.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return (0.5 * (trace + distance - q.loc.shape[-1]) + scale.log().sum(-1) - log_det).unsqueeze(-1)


_OWN: dict[tuple[type, type, type], Callable[..., Tensor]] = {
    (MultivariateNormal, Independent, Normal): _full_normal_from_diagonal,
    (OneHot, OneHot, type(None)): kl_one_hot,
    (Grouped, Independent, Normal): kl_grouped,
    (VonMisesFisher, UniformSphere, type(None)): kl_to_uniform,
}  # each gives (*batch, G)


def _factors(q: Distribution, p: Distribution) -> tuple[Distribution, Distribution] | None:
    """The factors of q and p over single dimensions, where both factorise over their last axis."""
    of_q, of_p = factors(q), factors(p)
    return None if of_q is None or of_p is None else (of_q, of_p)


def _closed_form(q: Distribution, p: Distribution) -> Tensor | None:
    own = _OWN.get((type(q), type(p), type(getattr(p, "base_dist", None))))
    if own is not None:
        return own(q, p)
    each = _factors(q, p)
    if each and type(each[0]) is Normal and type(each[1]) is Normal:
        return kl_normal(each[0], each[1])
    try:
        return kl_divergence(*each) if each else kl_divergence(q, p).unsqueeze(-1)
    except NotImplementedError:
        return None


def has_closed_form(q: Distribution, p: Distribution) -> bool:
    """True where KL(q || p) has a closed form, from torch.distributions or from us."""
    return _closed_form(q, p) is not None


def kl_groups(q: Distribution, p: Distribution, z: Tensor, method: KLMethod = "auto") -> Tensor:
    r"""KL(q || p) for each latent group, nats.

    .. math:: \mathrm{KL}(q \| p) = E_q[\log q(z) - \log p(z)]

    A group is a dimension where q and p both factorise (G = L), one choice where both are one-hot, otherwise the whole
    of z (G = 1).

    Shapes:
        z: (K, *batch, L), draws from q
        returns: (K, *batch, G)
    Args:
        method: ``closed`` (an error where there is none), ``sampled`` (log q - log p at each draw, where draws are not
            relaxed) or ``auto``.
    Raises:
        PartError: if ``closed`` is asked for and q, p have no closed form.
    """
    closed = None if method == "sampled" and is_density(q) else _closed_form(q, p)
    if closed is not None:
        return closed.expand(*z.shape[:-1], closed.shape[-1])
    if method == "closed":
        names = f"{_name(q)} and {_name(p)}"
        raise PartError(f"KL: {names} have no closed form. Use kl='sampled' (Monte Carlo) or kl='auto'.")
    if isinstance(q, Grouped) and isinstance(p, Independent):
        return kl_grouped_at(q, p, z)
    each = _factors(q, p)
    if each:
        return each[0].log_prob(z) - each[1].log_prob(z)
    if isinstance(q, OneHot) and isinstance(p, OneHot):
        return q.log_prob_by_group(z) - p.log_prob_by_group(z)
    return (q.log_prob(z) - p.log_prob(z)).unsqueeze(-1)


def _name(distribution: Distribution) -> str:
    return type(getattr(distribution, "base_dist", distribution)).__name__
