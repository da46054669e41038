"""Optional packages, loaded when a metric needs them, and the few tools that several metrics take from them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from reparam.errors import MissingExtraError
from reparam.rng import counted_seed

Array = NDArray[Any]


def extra(purpose: str, package: str, module: str) -> Any:
    """A module of an optional package.

    Raises:
        MissingExtraError: if the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError(purpose, package, "eval") from None


@contextmanager
def quietly() -> Iterator[None]:
    """Keeps a package's advice to its own users from ours, for a block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def random_state(seed: int, name: str) -> int:
    """A seed as scikit-learn takes it."""
    return counted_seed(seed, name) % 2**32


def linear_classifier(purpose: str, inputs: Array, labels: Array) -> Any:
    """Fits multinomial logistic regression on standardised inputs (L2 with C = 1), as scikit-learn has it."""
    linear = extra(purpose, "scikit-learn", "sklearn.linear_model")
    scaling = extra(purpose, "scikit-learn", "sklearn.preprocessing")
    pipeline = extra(purpose, "scikit-learn", "sklearn.pipeline")
    with quietly():  # a fit that stops at the last iteration is good enough to score
        return pipeline.make_pipeline(scaling.StandardScaler(), linear.LogisticRegression(max_iter=1000)).fit(
            inputs, labels
        )
