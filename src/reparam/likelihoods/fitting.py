"""Which likelihood is of which data."""

from reparam.data import DataSpec
from reparam.errors import PartError
from reparam.likelihoods.base import Likelihood


def require_fitting(likelihood: Likelihood, kind: str, spec: DataSpec) -> None:
    """Checks that a likelihood is one of these data.

    Args:
        likelihood: The likelihood.
        kind: What settings call it.
        spec: What the data are.
    Raises:
        PartError: if they hold other values.
    """
    if likelihood.of_classes or (getattr(likelihood, "pen", False) and not spec.last_is_bit):
        raise PartError(
            f"model.likelihood: {kind} is not for {spec.name}: one-hot is of classes among several observations, and a "
            "pen of values whose last one is 0 or 1. Take another."
        )
    if likelihood.of_counts and spec.kind != "counts":
        raise PartError(
            f"{kind} is a likelihood of counts; {spec.name} holds {spec.kind} values. Say that they are whole numbers "
            "from 0 on, if they are: --data.values counts (values= in Python), or take another likelihood."
        )
    if spec.kind == "counts" and not likelihood.of_counts:
        raise PartError(
            f"{kind} is no likelihood of counts, which {spec.name} holds. Use negative-binomial, poisson or "
            "zero-inflated-negative-binomial, or read the numbers as real ones (--data.values real)."
        )
    if likelihood.unit_interval and spec.kind == "real":
        raise PartError(
            f"{kind} is a likelihood of values in [0, 1]; {spec.name} holds real numbers. Use normal or laplace."
        )
