"""Sharpness and diversity against hand computation, and models whose answers are known."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from reparam.data import Data
from reparam.errors import RefusedError
from reparam.evaluation import evaluate
from reparam.evaluation.fidelity import within_classes
from reparam.evaluation.sharpness import laplacian_variance
from reparam.recipes import build
from tests.contracts.members import tiny_data

SHAPE = (1, 5, 4)


class Known(nn.Module):
    """Reconstructs at half the contrast, and makes the test items again, of half the distance from their class."""

    amortized = True
    conditions = ("labels",)

    def __init__(self, data: Data) -> None:
        super().__init__()
        batch = data.test.batch(slice(None))
        self.x, self.labels = batch.x, batch.named["labels"]

    def infer(self, x: Tensor, **named: Any) -> Independent:
        return Independent(Normal(x.flatten(1), 1.0), 1)

    def decode(self, z: Tensor, **named: Any) -> Independent:
        return Independent(Normal(0.5 * z.unflatten(-1, SHAPE), 1.0), 3)

    def sample(self, n: int, draw: bool = False, *, labels: Tensor) -> Tensor:
        means = torch.stack([self.x[self.labels == c].mean(0) for c in labels])
        return torch.lerp(means, self.x[:n], 0.5)


def test_the_laplacian_by_hand() -> None:
    x = torch.zeros(2, 1, 3, 4)
    x[0, 0, 1, 1] = 1.0  # -4 there and 1 beside it, and nothing else is no border
    x[1, 0] = torch.arange(4.0)  # an even slope is as smooth as nothing
    assert laplacian_variance(x).tolist() == [12.5, 0.0]
    both = torch.cat([x, 2 * x], 1)
    assert laplacian_variance(both).tolist() == [(12.5 + 4 * 12.5) / 2, 0.0]
    with pytest.raises(RefusedError, match="3x3 pixels are too small"):
        laplacian_variance(x[..., :3])


def test_sharpness_is_a_share_of_that_of_real_pictures() -> None:
    data = tiny_data("unit", SHAPE)
    known = Known(data)
    found = evaluate(known, data.test, "sharpness")
    assert found["sharpness_reconstructed"] == pytest.approx(0.25)  # half the contrast, a quarter of the variance
    made = known.sample(len(data.test), labels=known.labels)
    expected = laplacian_variance(made).mean() / laplacian_variance(known.x).mean()
    assert found["sharpness"] == pytest.approx(expected.item())
    assert found["samples"] == "means"


def test_diversity_is_the_variance_within_a_class() -> None:
    features = torch.tensor([[0.0, 1.0], [2.0, 1.0], [5.0, 0.0], [5.0, 4.0], [9.0, 9.0]]).double()
    labels = torch.tensor([0, 0, 1, 1, 2])  # one example of class 2 has no variance
    assert within_classes(features, labels) == pytest.approx((2.0 + 8.0) / 2)
    data = tiny_data("unit", SHAPE)
    found = evaluate(Known(data), data.test, "class-diversity", features=nn.Flatten())
    assert found["class_diversity"] == pytest.approx(0.25)
    assert found["feature_network"] == "Flatten"


def test_what_has_no_sharpness_or_diversity_is_refused() -> None:
    table = tiny_data("unit", (4,))
    with pytest.raises(RefusedError, match="these data are none"):
        evaluate(build("vae", table), table.test, "sharpness")
    with pytest.raises(RefusedError, match="this model is not told the class"):
        evaluate(build("vae", table), table.test, "class-diversity", train=table.train)
    data = tiny_data("unit", SHAPE)
    with pytest.raises(RefusedError, match="takes a class of two examples or more"):
        evaluate(Known(data), data.test.take(torch.arange(3)), "class-diversity", features=nn.Flatten())
