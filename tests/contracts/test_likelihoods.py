"""Every likelihood."""

import pytest
import torch
from torch import Tensor

from reparam.distributions import is_density, is_discrete
from reparam.errors import PartError, ShapeError
from reparam.likelihoods import Likelihood
from reparam.parts import PARTS, WRAPPER
from reparam.rng import reseed
from reparam.shapes import Shape
from tests.contracts.members import (
    ELSEWHERE,
    ROWS,
    SHAPES,
    SUPPORT,
    Settings,
    dead,
    make,
    members,
    row,
    values,
)

K, B = 2, 3


TERMS = ("reconstruction", "perceptual")  # distances, not densities


def only_images(kind: str, settings: Settings) -> bool:
    return kind == "perceptual" or "ssim" in str(settings.get("distance"))


def build(kind: str, settings: Settings, shape: Shape = (2, 6, 5)) -> Likelihood:
    return make("likelihood", kind, settings, shape).eval()


def outputs(likelihood: Likelihood, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
    reseed(0)
    return scale * torch.randn(K, B, *likelihood.out_shape, dtype=dtype)


def examples(kind: str, settings: Settings, shape: Shape, dtype: torch.dtype = torch.float64) -> Tensor:
    reseed(1)
    return values(SUPPORT[kind], B, *shape, levels=settings.get("levels", 17), dtype=dtype)


SHAPED = [
    row(kind, settings, shape)
    for kind in PARTS["likelihood"]
    if ("likelihood", kind) not in ELSEWHERE
    for settings in ROWS["likelihood"].get(kind, ())
    for shape in SHAPES
    if not (only_images(kind, settings) and len(shape) < 3)
    and not (shape == (3, 64, 48) and settings.get("levels") == 256)
]


@pytest.mark.parametrize(("kind", "settings", "shape"), SHAPED)
def test_shapes(kind: str, settings: Settings, shape: Shape) -> None:
    likelihood = build(kind, settings, shape)
    assert likelihood.data_shape == shape
    assert likelihood.out_shape == (shape[0] * likelihood.arguments, *shape[1:])
    p_x = likelihood(outputs(likelihood, dtype=torch.float32))
    assert (p_x.batch_shape, p_x.event_shape) == ((K, B), shape)
    assert p_x.mean.shape == (K, B, *shape)
    assert p_x.log_prob(examples(kind, settings, shape, torch.float32)).shape == (K, B)
    assert p_x.sample().shape == (K, B, *shape)


@pytest.mark.parametrize(("kind", "settings"), members("likelihood"))
class TestLikelihood:
    shape = (2, 6, 5)

    def test_expand_and_sample(self, kind: str, settings: Settings) -> None:
        likelihood = build(kind, settings)
        p_x, x = likelihood(outputs(likelihood)), examples(kind, settings, self.shape)
        wide = p_x.expand(torch.Size([4, K, B]))
        assert (wide.batch_shape, wide.event_shape) == ((4, K, B), self.shape)
        assert p_x.sample(torch.Size([4])).shape == wide.sample().shape == (4, K, B, *self.shape)
        assert torch.allclose(wide.log_prob(x)[3], p_x.log_prob(x), atol=1e-10)  # the same sums in another order

    @pytest.mark.parametrize("scale", [1e2, 1e4])
    def test_finite_for_huge_outputs(self, kind: str, settings: Settings, scale: float) -> None:
        likelihood = build(kind, settings)
        h = outputs(likelihood, scale, torch.float32).requires_grad_()
        p_x = likelihood(h)
        log_p_x = p_x.log_prob(examples(kind, settings, self.shape, torch.float32))
        assert log_p_x.isfinite().all()
        assert p_x.mean.isfinite().all()
        log_p_x.sum().backward()
        assert h.grad is not None
        assert h.grad.isfinite().all()

    def test_mean_and_draws_lie_in_the_support(self, kind: str, settings: Settings) -> None:
        likelihood = build(kind, settings)
        for scale in (1.0, 30.0):
            p_x = likelihood(outputs(likelihood, scale))
            draws = p_x.sample(torch.Size([3]))
            assert draws.isfinite().all()
            if SUPPORT[kind] == "real" or (kind == "reconstruction" and not only_images(kind, settings)):
                continue
            # a mean of 256 probabilities may leave [0, 1] by rounding
            assert p_x.mean.ge(-1e-12).all()
            assert draws.ge(0).all()
            if SUPPORT[kind] == "counts":
                assert torch.equal(draws, draws.round())
                continue
            assert p_x.mean.le(1 + 1e-12).all()
            assert draws.le(1).all()
            if SUPPORT[kind] in ("binary", "levels"):
                top = settings.get("levels", 2) - 1
                assert torch.allclose(draws * top, (draws * top).round(), atol=1e-9)  # on the levels, within rounding

    def test_mean_of_draws(self, kind: str, settings: Settings) -> None:
        likelihood = build(kind, settings, (2, 1, 2) if only_images(kind, settings) else (2, 2)).double()
        p_x = likelihood(outputs(likelihood, 0.5))
        reseed(2)
        draws = p_x.sample(torch.Size([4000]))
        # five standard errors, from the draws themselves; what has a probability below 1e-3 may never be drawn
        assert (draws.mean(0) - p_x.mean).abs().le(5 * draws.std(0) / 4000**0.5 + 1e-3).all()

    def test_gradient_reaches_the_output_and_every_parameter(self, kind: str, settings: Settings) -> None:
        likelihood = build(kind, settings).double()
        h = outputs(likelihood).requires_grad_()
        likelihood(h).log_prob(examples(kind, settings, self.shape)).sum().backward()
        assert h.grad is not None
        assert h.grad.flatten(2).abs().sum((0, 1)).gt(0).all()
        assert not dead(likelihood)

    def test_says_what_it_is(self, kind: str, settings: Settings) -> None:
        likelihood = build(kind, settings)
        p_x = likelihood(outputs(likelihood))
        assert is_density(p_x) == (kind not in TERMS)
        assert is_discrete(p_x) == (SUPPORT[kind] in ("binary", "levels", "counts"))

    def test_refuses_a_decoder_that_does_not_fit(self, kind: str, settings: Settings) -> None:
        likelihood = build(kind, settings)
        shape = likelihood.out_shape
        with pytest.raises(ShapeError, match=r"Pass out_shape=\(.*\) to the decoder"):
            likelihood(torch.zeros(B, shape[0] + 1, *shape[1:]))


@pytest.mark.parametrize(("kind", "settings"), [m for m in members("likelihood") if not only_images(*m.values[:2])])
def test_log_prob_sums_over_the_event(kind: str, settings: Settings) -> None:
    """The likelihood of several values is the product of their likelihoods one by one."""
    many, one = build(kind, settings, (4,)).double(), build(kind, settings, (1,)).double()
    if kind == WRAPPER:
        for name in ("shift_values", "scale_values"):
            setattr(many.units, name, getattr(one.units, name).expand(4).clone())
    h, x = outputs(many), examples(kind, settings, (4,))
    singles = [one(h[..., i::4]).log_prob(x[:, i : i + 1]) for i in range(4)]
    # the same four numbers added in another order
    assert torch.allclose(many(h).log_prob(x), torch.stack(singles).sum(0), atol=1e-9, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [m for m in members("likelihood") if m.values[0] in ("normal", "laplace", *TERMS, WRAPPER)],
)
def test_perfect_reconstruction_scores_best(kind: str, settings: Settings) -> None:
    """Where the mode is the mean, no other x has a higher density."""
    likelihood = build(kind, settings).double()
    p_x = likelihood(outputs(likelihood, 0.2))
    best = p_x.log_prob(p_x.mean)
    for step in (-0.3, 0.3):
        assert p_x.log_prob(p_x.mean + step).lt(best).all()


@pytest.mark.parametrize(
    ("kind", "settings", "sentence"),
    [
        ("normal", {"scale": 0.0}, "scale is 0.0, expected a positive number"),
        ("laplace", {"scale": -1.0}, "scale is -1.0, expected a positive number"),
        ("normal", {"scale": float("nan")}, "scale is nan, expected a positive number"),
        ("laplace", {"scale": float("inf")}, "scale is inf, expected a positive number"),
        ("categorical", {"levels": 1}, "levels is 1, expected at least 2"),
        ("discretized-logistic", {"levels": 0}, "levels is 0, expected at least 2"),
        ("discretized-logistic", {"components": 0}, "components is 0, expected at least 1"),
        ("negative-binomial", {"dispersion": "gene"}, "dispersion is 'gene'. There are: each, shared"),
        ("zero-inflated-negative-binomial", {"dispersion": "share"}, "Did you mean 'shared'?"),
    ],
)
def test_refuse_wrong_settings(kind: str, settings: Settings, sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        make("likelihood", kind, settings)


@pytest.mark.parametrize("distance", ["ssim", "ms-ssim"])
def test_structural_terms_refuse_vectors(distance: str) -> None:
    with pytest.raises(PartError, match=f"{distance} compares images .* Use l1 or l2"):
        make("likelihood", "reconstruction", {"distance": distance}, (17,))
