"""Every corruption."""

import pytest
import torch

from reparam.errors import PartError
from reparam.networks import Corruption, GaussianNoise, MaskingNoise, SaltAndPepperNoise, StandardizedCorruption
from reparam.parts import WRAPPER
from reparam.rng import reseed
from tests.contracts.members import SHAPES, Settings, make, members

MANY = 40_000
# five standard errors of a share of 40,000 draws: at most 5 * 0.5 / 200
ERROR = 0.0125


@pytest.mark.parametrize(("kind", "settings"), members("corruption"))
class TestCorruption:
    def test_shape_and_input_are_kept(self, kind: str, settings: Settings) -> None:
        for shape in SHAPES:
            corruption = make("corruption", kind, settings, shape)
            reseed(0)
            x = torch.rand(3, *shape)
            before = x.clone()
            damaged = corruption(x)
            assert damaged.shape == x.shape
            assert damaged.dtype == x.dtype
            assert torch.equal(x, before)

    def test_follows_the_current_generator(self, kind: str, settings: Settings) -> None:
        corruption, x = make("corruption", kind, settings), torch.rand(3, 1, 12, 11)
        reseed(1)
        first = corruption(x)
        reseed(1)
        assert torch.equal(corruption(x), first)
        assert not torch.equal(corruption(x), first)

    def test_damages_something(self, kind: str, settings: Settings) -> None:
        reseed(0)
        x = 0.1 + 0.8 * torch.rand(3, 1, 12, 11)
        changed = make("corruption", kind, settings)(x).ne(x).float().mean().item()
        assert changed > 0.1

    def test_stays_finite(self, kind: str, settings: Settings) -> None:
        assert make("corruption", kind, settings)(torch.full((3, 1, 12, 11), 1e4)).isfinite().all()


def test_masking_zeroes_its_share() -> None:
    reseed(0)
    x = torch.rand(MANY, 1) + 0.5
    damaged = MaskingNoise(0.3)(x)
    gone = damaged.eq(0)
    assert torch.equal(damaged[~gone], x[~gone])
    assert gone.float().mean().item() == pytest.approx(0.3, abs=ERROR)


def test_salt_and_pepper_share() -> None:
    reseed(0)
    x = 0.25 + 0.5 * torch.rand(MANY, 1)
    damaged = SaltAndPepperNoise(0.4)(x)
    salt, pepper = damaged.eq(1), damaged.eq(0)
    kept = ~(salt | pepper)
    assert torch.equal(damaged[kept], x[kept])
    assert salt.float().mean().item() == pytest.approx(0.2, abs=ERROR)
    assert pepper.float().mean().item() == pytest.approx(0.2, abs=ERROR)


def test_gaussian_noise_has_its_scale() -> None:
    reseed(0)
    x = torch.rand(MANY, 1)
    noise = GaussianNoise(0.5)(x) - x
    assert noise.mean().item() == pytest.approx(0, abs=ERROR)
    assert noise.std().item() == pytest.approx(0.5, abs=ERROR)


def test_standardized_masking_puts_the_mean() -> None:
    reseed(0)
    corruption = StandardizedCorruption(MaskingNoise(0.5), shift=(100.0, -3.0), scale=(10.0, 0.5), data_shape=(2,))
    x = torch.tensor([100.0, -3.0]) + torch.randn(1000, 2) * torch.tensor([10.0, 0.5])
    damaged = corruption(x)
    masked = damaged.eq(torch.tensor([100.0, -3.0]))
    # what is left went to standard units and back: float32 rounding of numbers near 100
    assert torch.allclose(damaged[~masked], x[~masked], atol=1e-4)
    assert masked.float().mean().item() == pytest.approx(0.5, abs=0.08)  # five standard errors of 2,000 draws


@pytest.mark.parametrize("none", [MaskingNoise(0.0), GaussianNoise(0.0), SaltAndPepperNoise(0.0)])
def test_no_noise_changes_nothing(none: Corruption) -> None:
    reseed(0)
    x = torch.rand(50, 7)
    assert torch.equal(none(x), x)


def test_full_mask_leaves_nothing() -> None:
    reseed(0)
    assert not MaskingNoise(1.0)(torch.rand(50, 7)).any()


@pytest.mark.parametrize(("kind", "settings"), [m for m in members("corruption") if m.values[0] != WRAPPER])
@pytest.mark.parametrize("amount", [-0.1, 1e7, float("nan")])
def test_refuses_wrong_amounts(kind: str, settings: Settings, amount: float) -> None:
    with pytest.raises(PartError, match="expected a number from 0 to"):
        make("corruption", kind, dict.fromkeys(settings, amount))
