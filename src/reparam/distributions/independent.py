"""Joining many scalar distributions into one over a whole example."""

from torch.distributions import Distribution, Independent


def joint(base: Distribution, event_dim: int) -> Independent:
    """The distribution whose log density is the sum over the last ``event_dim`` axes of ``base``."""
    return Independent(base, event_dim, validate_args=False)


def factors(distribution: Distribution) -> Distribution | None:
    """The factors over single dimensions, where the distribution factorises over its last axis; None otherwise."""
    if isinstance(distribution, Independent) and distribution.reinterpreted_batch_ndims == 1:
        found: Distribution = distribution.base_dist
        return found
    return None


def is_density(distribution: Distribution) -> bool:
    """False for reconstruction terms without a normaliser (:class:`Energy`)."""
    base = getattr(distribution, "base_dist", distribution)
    return getattr(base, "normalized", True)


def is_entangled(distribution: Distribution) -> bool:
    """True where dimensions make a draw only together: of classes, on a sphere, in a hyperbolic ball."""
    found: bool = getattr(getattr(distribution, "bijection", distribution), "entangled", False)
    return found


def is_discrete(distribution: Distribution) -> bool:
    """True where log_prob is the log of a probability, not of a density."""
    base = getattr(distribution, "base_dist", distribution)
    component = getattr(base, "component_distribution", base)
    return bool(getattr(component, "discrete", False) or getattr(component.support, "is_discrete", False))
