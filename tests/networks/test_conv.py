"""What is special to convolutions, and to the bound on log-scales."""

import pytest
import torch

from reparam.networks import ConvDecoder, ConvEncoder, bounded
from reparam.networks.conv import fold, unfold
from reparam.rng import reseed


@pytest.mark.parametrize("patch", [(1, 1), (2, 2), (1, 3), (2, 3)])
def test_unfold_inverts_fold(patch: tuple[int, int]) -> None:
    reseed(0)
    x = torch.randn(2, 3, 4, 6)
    folded = fold(x, patch)
    assert folded.shape == (2, 3 * patch[0] * patch[1], 4 // patch[0], 6 // patch[1])
    assert torch.equal(unfold(folded, patch), x)


def test_fold_keeps_patches_together() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert fold(x, (2, 2))[0, :, 0, 1].tolist() == [2, 3, 6, 7]


def test_decoder_moves_every_value() -> None:
    """Cropping leaves no value of x that the code cannot reach."""
    reseed(0)
    decoder = ConvDecoder(3, (2, 13, 27), channels=(4, 4, 4)).double()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    values = decoder(torch.randn(20, 3, dtype=torch.float64))
    assert values.std(0).gt(0).all()


def test_pixels_of_a_patch_begin_alike() -> None:
    """Each has its own filter, and none draws a pattern of dots before it has learnt one."""
    reseed(0)
    decoder = ConvDecoder(3, (2, 28, 20), patch=2)
    with torch.no_grad():
        patches = fold(decoder(torch.randn(5, 3)), (2, 2)).unflatten(1, (2, 4))
    assert patches.amax(2).allclose(patches.amin(2), atol=1e-6)
    assert patches[:, :, 0].std((0, 2, 3)).gt(1e-3).all()


@pytest.mark.parametrize(
    ("shape", "coarsest"), [((1, 28, 28), (7, 7)), ((3, 64, 48), (8, 6)), ((1, 8, 8), (8, 8)), ((4, 33), (1, 5))]
)
def test_coarsest_features_are_at_most_eight_wide(shape: tuple[int, ...], coarsest: tuple[int, int]) -> None:
    assert ConvEncoder(shape).plan.coarsest == coarsest


def test_residual_blocks_start_as_the_identity() -> None:
    reseed(0)
    encoder = ConvEncoder((1, 8, 8), channels=(4,), hidden_dim=5)
    block = encoder.stages[1]
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(block(x), x)


def test_bounded() -> None:
    raw = torch.linspace(-100, 100, 2001, dtype=torch.float64).requires_grad_()
    found = bounded(raw, -8.0, 4.0)
    # by its formula the upper end is low + softplus(high - low) = high + 6e-6
    assert found.min() >= -8
    assert found.max() <= 4 + 1e-5
    assert found.diff().ge(0).all()
    inside = raw.detach().abs() < 1
    # two softplus, at least 3 from the nearer end: off by at most log(1 + e^-3)
    assert (found - raw)[inside].abs().max() < 0.05
    found.sum().backward()
    assert raw.grad is not None
    assert raw.grad.ge(0).all()
    assert raw.grad.le(1).all()
    assert bounded(torch.tensor([-1e30, 1e30])).isfinite().all()
