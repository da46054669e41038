"""Every posterior."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal

from reparam.distributions import CODES, detached, is_discrete
from reparam.errors import PartError
from reparam.posteriors import PointPosterior, Posterior
from reparam.rng import part_of_batch, per_example, reseed
from tests.contracts.members import Settings, dead, make, members, seeded_

B, L = 5, 3


def features(scale: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
    reseed(0)
    return scale * torch.randn(B, 6, dtype=dtype)


def posterior(kind: str, settings: Settings) -> Posterior:
    part: Posterior = seeded_(make("posterior", kind, settings))  # type: ignore[assignment]
    return part.eval() if part.space == CODES else part  # codes learn by looking, while they are trained


@pytest.mark.parametrize(("kind", "settings"), members("posterior"))
class TestPosterior:
    def q(self, kind: str, settings: Settings) -> Distribution:
        return posterior(kind, settings).double()(features())

    def test_shapes(self, kind: str, settings: Settings) -> None:
        q = self.q(kind, settings)
        assert (q.batch_shape, q.event_shape) == ((B,), (L,))
        assert q.mean.shape == (B, L)
        assert q.variance.shape == (B, L)
        assert q.sample().shape == (B, L)
        z = q.rsample(torch.Size([4, 2]))
        assert z.shape == (4, 2, B, L)
        assert q.log_prob(z).shape == (4, 2, B)

    def test_expand(self, kind: str, settings: Settings) -> None:
        q = self.q(kind, settings)
        wide = q.expand(torch.Size([7, B]))
        assert (wide.batch_shape, wide.event_shape) == ((7, B), (L,))
        z = wide.sample()
        assert z.shape == (7, B, L)
        # the same sums in another order; where a map is inverted by halving an interval, float64's rounding of its ends
        assert torch.allclose(wide.log_prob(z), q.log_prob(z), atol=1e-9)

    def test_one_example_alone(self, kind: str, settings: Settings) -> None:
        part = posterior(kind, settings).double()
        one, all_of_them = part(features()[2]), part(features())
        assert (one.batch_shape, one.event_shape) == ((), (L,))
        # the same sums in another order
        assert torch.allclose(one.mean, all_of_them.mean[2], atol=1e-12)

    @pytest.mark.parametrize("scale", [1e2, 1e4])
    def test_finite_for_huge_features(self, kind: str, settings: Settings, scale: float) -> None:
        """Scales are bounded, so densities and their gradients stay finite in float32."""
        part = posterior(kind, settings)
        h = features(scale, torch.float32).requires_grad_()
        q = part(h)
        z = q.rsample(torch.Size([2]))
        assert z.isfinite().all()
        if part.needs_prior:
            assert q.log_prob(z).isfinite().all()
            if isinstance(q, Independent | MultivariateNormal):
                # exp(4) bounds a diagonal scale; entries of N below 10 widen a row of S to at most 10 exp(4) sqrt(L)
                assert q.variance.sqrt().le(10.1 * 54.7 * L**0.5).all()
            assert q.variance.isfinite().all()
            assert q.variance.ge(0).all() if is_discrete(q) else q.variance.gt(0).all()
            (q.log_prob(z).sum() + z.sum()).backward()
            assert h.grad is not None
            assert h.grad.isfinite().all()

    def test_gradient_reaches_every_parameter(self, kind: str, settings: Settings) -> None:
        part = posterior(kind, settings).double()
        q = part(features())
        z = q.rsample(torch.Size([3]))
        loss = (z.square() * torch.randn_like(z)).sum()
        if getattr(q, "penalty", None) is not None:
            loss = loss + q.penalty.sum()
        if part.refines:
            moved, more = part.refine(z, torch.randn_like(z), lambda z: -z.pow(4).sum(-1))
            loss = loss + moved.square().sum() + more.sum()
        loss.backward()
        assert not dead(part)

    def test_density_of_a_draw_is_the_density_there(self, kind: str, settings: Settings) -> None:
        """What a draw keeps of its own density equals what is computed at an equal tensor, and so do its gradients."""
        part = posterior(kind, settings).double()
        q = part(features())
        first, second = q.rsample(torch.Size([3])), q.rsample(torch.Size([2]))
        for z in (first, second):
            kept, anew = q.log_prob(z), q.log_prob(z.clone())
            # inverses are found to about 1e-12, times slopes of up to 1e3
            assert torch.allclose(kept, anew, atol=1e-8)
            if not kept.requires_grad:  # a density that is the same everywhere
                continue
            gradients = [
                torch.autograd.grad(log_q.sum(), part.parameters(), retain_graph=True, allow_unused=True)
                for log_q in (kept, anew)
            ]
            for a, b in zip(*gradients, strict=True):
                assert (a is None and b is None) or torch.allclose(a, b, atol=1e-6)

    def test_fixed_density_has_a_gradient_for_the_value_alone(self, kind: str, settings: Settings) -> None:
        part = posterior(kind, settings).double()
        q = part(features())
        z = q.rsample(torch.Size([2])).detach()
        assert not detached(q).log_prob(z).requires_grad
        if not part.needs_prior:  # a point has no density
            return
        slopes = []
        for density in (q, detached(q)):
            at = z.clone().requires_grad_()
            slopes.append(torch.autograd.grad(density.log_prob(at).sum(), at)[0])
        assert slopes[0].isfinite().all()
        assert torch.allclose(*slopes, atol=1e-10)
        assert detached(q).expand(torch.Size([4, B])).sample().shape == (4, B, L)

    def test_sample_moments(self, kind: str, settings: Settings) -> None:
        part = posterior(kind, settings).double().eval()
        q = part(features())
        assert torch.allclose(part.space.nearest(q.mean), q.mean, atol=1e-12)  # a code where codes may lie
        if not getattr(q, "exact_moments", True):
            return
        reseed(1)
        z = q.sample(torch.Size([40_000]))
        # five standard errors of a mean of 40,000 draws; 1e-12 for the one without noise
        error = 5 * q.variance.sqrt() / 200 + 1e-12
        assert (z.mean(0) - q.mean).abs().le(error).all()
        # a Laplace's sample variance has a relative standard error of sqrt(5 / 40,000) = 1.1 %
        assert torch.allclose(z.var(0), q.variance, rtol=0.06, atol=1e-12)

    def test_processes_share_the_draws_of_a_batch(self, kind: str, settings: Settings) -> None:
        """Two processes with half a batch each draw what one draws for the whole."""
        part, h, drawn = posterior(kind, settings).double(), features()[:4], []
        for rank, parts in ((0, 1), (0, 2), (1, 2)):
            reseed(2)
            own = h.chunk(parts)[rank]
            with part_of_batch(rank, parts), per_example(1):
                drawn.append(part(own).rsample(torch.Size([3])))
        # the same sums in another order
        assert torch.allclose(torch.cat(drawn[1:], 1), drawn[0], atol=1e-10)

    def test_mixed_precision_ends_before_the_density(self, kind: str, settings: Settings) -> None:
        part = posterior(kind, settings)
        with torch.autocast("cpu", torch.bfloat16):
            q = part(features(dtype=torch.float32))
            z = q.rsample(torch.Size([3]))
            log_q = q.log_prob(z)
        assert z.dtype == log_q.dtype == torch.float32
        if part.needs_prior:
            # float32 sums, where the inverse multiplies errors by slopes of up to 1e3
            assert torch.allclose(log_q, q.log_prob(z.clone()), atol=2e-2)

    def test_train_is_eval(self, kind: str, settings: Settings) -> None:
        part = posterior(kind, settings)
        h = features(dtype=torch.float32)
        assert torch.equal(part.train()(h).mean, part.eval()(h).mean)

    def test_refuses_no_dimension(self, kind: str, settings: Settings) -> None:
        with pytest.raises(PartError, match="latent_dim is 0, expected at least 1"):
            make("posterior", kind, settings, latent_dim=0)


def test_point_posterior_has_no_noise() -> None:
    part = PointPosterior(6, L).double()
    q = part(features())
    z = q.rsample(torch.Size([2]))
    assert torch.equal(z[0], part.head(features()))
    assert torch.equal(z[0], z[1])
    assert q.log_prob(z).eq(0).all()
    assert q.log_prob(z + 1).eq(-torch.inf).all()
    assert torch.equal(q.mode, q.mean)
