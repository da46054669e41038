"""Structural similarity against torchmetrics, and for images that torchmetrics refuses."""

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from reparam.distributions import ms_ssim, ssim
from reparam.distributions.similarity import MS_WEIGHTS
from reparam.rng import reseed


def pair(*shape: int, noise: float = 0.15) -> tuple[Tensor, Tensor]:
    reseed(0)
    x = torch.rand(*shape, dtype=torch.float64)
    return x, (x + noise * torch.randn(*shape, dtype=torch.float64)).clamp(0, 1)


def inner(x: Tensor, y: Tensor) -> Tensor:
    """SSIM by torchmetrics where its windows lie inside the image: it pads by reflection, as the paper does not."""
    _, whole = structural_similarity_index_measure(x, y, data_range=1.0, reduction="none", return_full_image=True)
    return whole[..., 5:-5, 5:-5].flatten(1).mean(1)


def contrast(x: Tensor, y: Tensor) -> Tensor:
    """Contrast-structure by torchmetrics, which crops this one to the inside."""
    return structural_similarity_index_measure(
        x, y, data_range=1.0, reduction="none", return_contrast_sensitivity=True
    )[1]


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 32, 20), (2, 1, 11, 11)])
def test_ssim(shape: tuple[int, ...]) -> None:
    x, y = pair(*shape)
    # torchmetrics takes differences of window means in the same order of operations: float64 rounding
    assert torch.allclose(ssim(x, y), inner(x, y), atol=1e-9)


@pytest.mark.parametrize(("shape", "scales"), [((2, 1, 192, 180), 5), ((2, 3, 28, 40), 2), ((2, 1, 14, 20), 1)])
def test_ms_ssim(shape: tuple[int, ...], scales: int) -> None:
    """Contrast-structure at each scale, all of SSIM at the coarsest, as many scales as leave 11 pixels."""
    x, y = pair(*shape)
    weights = [weight / sum(MS_WEIGHTS[:scales]) for weight in MS_WEIGHTS[:scales]]
    found, expected = ms_ssim(x, y), torch.ones(2, dtype=torch.float64)
    for scale, weight in enumerate(weights):
        expected = expected * (inner(x, y) if scale == scales - 1 else contrast(x, y)) ** weight
        x, y = (torch.nn.functional.avg_pool2d(image, 2) for image in (x, y))
    assert torch.allclose(found, expected, atol=1e-9)


def test_five_scales_agree_with_the_whole_measure() -> None:
    x, y = pair(2, 1, 192, 180)
    weights = tuple(weight / sum(MS_WEIGHTS) for weight in MS_WEIGHTS)
    expected = multiscale_structural_similarity_index_measure(x, y, data_range=1.0, reduction="none", betas=weights)
    # only the padding at the coarsest scale differs, where the windows cover most of the image
    assert torch.allclose(ms_ssim(x, y), expected, atol=0.01)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 5), (4, 1, 8, 8), (2, 2, 1, 30), (5, 4, 3, 12, 9)])
@pytest.mark.parametrize("measure", [ssim, ms_ssim])
def test_any_size(measure: object, shape: tuple[int, ...]) -> None:
    assert callable(measure)
    x, y = pair(*shape)
    same, different = measure(x, x), measure(x, y)
    assert same.shape == shape[:-3]
    assert torch.allclose(same, torch.ones_like(same), atol=1e-9)
    assert different.le(1).all()
    assert torch.allclose(measure(y, x), different, atol=1e-12)  # symmetric
    y.requires_grad_()
    measure(x, y).sum().backward()
    assert y.grad is not None
    assert y.grad.isfinite().all()
