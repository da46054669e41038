"""Interpolation, traversal, the decoded grid and projection, on a model small enough to know the answers."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Laplace, MixtureSameFamily, Normal

from reparam.distributions import PointMass
from reparam.errors import DataError, PartError, RefusedError, ShapeError, UnknownNameError
from reparam.latents import decoded_means, grid, interpolate, posterior_means, project, traverse
from reparam.priors import LaplacePrior, NormalPrior
from reparam.recipes import build
from tests.contracts.members import tiny_data


class Rulers(nn.Module):
    """Codes are the first L values of an item; the decoder writes the code into the first L values."""

    def __init__(
        self, latent_dim: int, data_shape: tuple[int, ...] = (1, 2, 3), prior: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.latent_dim, self.data_shape, self.prior = latent_dim, data_shape, prior
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))

    def p_z(self) -> Distribution:
        assert self.prior is not None
        found: Distribution = self.prior(infer=self.infer)
        return found

    def infer(self, x: Tensor) -> Distribution:
        return PointMass(self.weight * x.flatten(1)[:, : self.latent_dim])

    def decode(self, z: Tensor) -> Distribution:
        rest = math.prod(self.data_shape) - self.latent_dim
        x = nn.functional.pad(z * self.weight, (0, rest)).reshape(*z.shape[:-1], *self.data_shape)
        return Normal(x, 1.0, validate_args=False)


def items(count: int) -> Tensor:
    return torch.randn(count, 1, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def codes_of(pictures: Tensor, latent_dim: int) -> Tensor:
    return pictures.flatten(-3)[..., :latent_dim]


def test_classes_of_a_structured_code_are_walked_as_classes() -> None:
    """Past 1 the class is chosen; numbers keep to their range, and the class stays what it was."""
    model = build("info-gan", torch.rand(20, 4), latent_dim=6, prior={"kind": "structured", "classes": 3, "uniform": 1})
    seen: list[Tensor] = []
    decode = model.decode

    def watched(z: Tensor) -> Distribution:
        seen.append(z)
        return decode(z)

    model.decode = watched  # type: ignore[method-assign, assignment]
    assert traverse(model, dims=[2, 3], span=2.0, steps=5).shape == (2, 5, 4)
    of_class, of_number = torch.cat(seen).unflatten(0, (2, 5))
    assert of_class[:, :3].argmax(1).tolist() == [0, 0, 0, 0, 2]
    assert set(of_class[:, :3].flatten().tolist()) == {0.0, 1.0}
    assert of_number[:, :3].argmax(1).tolist() == [0] * 5
    assert of_number[:, 3].tolist() == pytest.approx([-1, -(3**-0.5), 0, 3**-0.5, 1])


def test_posterior_means_take_one_item_any_batch_and_other_dtypes() -> None:
    model, x = Rulers(3), items(600)
    together = posterior_means(model, x)
    assert together.shape == (600, 3)
    assert not together.requires_grad
    assert torch.equal(together[7], posterior_means(model, x[7]))
    assert posterior_means(model, x.float()).dtype == torch.float64
    assert posterior_means(model, x[:0]).shape == (0, 3)


def test_a_traversal_is_of_one_item() -> None:
    assert traverse(Rulers(3), items(1), steps=5).shape == (3, 5, 1, 2, 3)
    with pytest.raises(ShapeError, match=r"got a batch of 5 items, expected one. Pass one of them, such as x\[0\]"):
        traverse(Rulers(3), items(5), steps=5)


def test_codes_that_are_no_numbers_are_refused() -> None:
    for size in (1, 2, 3):
        codes = torch.zeros(4, size)
        codes[1, 0] = torch.nan
        with pytest.raises(PartError, match="1 of 4 codes are NaN or infinite"):
            project(codes)


def test_posterior_means_say_which_shape_is_expected() -> None:
    with pytest.raises(ShapeError, match=r"\(4, 3, 2\).*built for \(1, 2, 3\)"):
        posterior_means(Rulers(3), torch.zeros(4, 3, 2))


def test_decoded_means_keep_every_batch_axis() -> None:
    assert decoded_means(Rulers(2), torch.zeros(5, 4, 70, 2, dtype=torch.float64)).shape == (5, 4, 70, 1, 2, 3)


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_interpolation_starts_and_ends_at_the_reconstructions(path: str) -> None:
    model, (a, b) = Rulers(4), items(2)
    pictures = interpolate(model, a, b, steps=5, path=path)
    assert pictures.shape == (5, 1, 2, 3)
    torch.testing.assert_close(pictures[0], decoded_means(model, posterior_means(model, a)))
    torch.testing.assert_close(pictures[-1], decoded_means(model, posterior_means(model, b)))


def test_interpolation_of_a_batch_is_that_of_each_pair() -> None:
    model, x = Rulers(4), items(6)
    together = interpolate(model, x[:3], x[3:], steps=4, path="spherical")
    assert together.shape == (3, 4, 1, 2, 3)
    torch.testing.assert_close(together[1], interpolate(model, x[1], x[4], steps=4, path="spherical"))


def test_the_linear_path_is_evenly_spaced() -> None:
    steps = codes_of(interpolate(Rulers(4), *items(2), steps=6), 4).diff(dim=0)
    torch.testing.assert_close(steps, steps[:1].expand_as(steps))


def test_the_spherical_path_keeps_the_length_and_turns_evenly() -> None:
    a, b = torch.zeros(2, 1, 2, 3, dtype=torch.float64)
    a[0, 0, 0], b[0, 0, 1] = 2.0, 2.0
    z = codes_of(interpolate(Rulers(2), a, b, steps=4, path="spherical"), 2)
    torch.testing.assert_close(z.norm(dim=-1), torch.full((4,), 2.0, dtype=torch.float64))
    angles = torch.atan2(z[:, 1], z[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, math.pi / 2, 4, dtype=torch.float64))


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.0])
def test_the_spherical_path_is_straight_where_there_is_no_arc(factor: float) -> None:
    a = items(1)[0]
    curved, straight = (interpolate(Rulers(4), a, factor * a, steps=5, path=path) for path in ("spherical", "linear"))
    torch.testing.assert_close(curved, straight, atol=1e-6, rtol=0)


def test_wrong_calls_of_interpolate_get_one_clear_sentence() -> None:
    model, (a, b) = Rulers(2), items(2)
    with pytest.raises(UnknownNameError, match=r"no path 'sperical'\. Did you mean 'spherical'"):
        interpolate(model, a, b, path="sperical")
    with pytest.raises(UnknownNameError, match="There are: linear, spherical"):
        interpolate(model, a, b, path="geodesic")
    with pytest.raises(PartError, match="steps=1"):
        interpolate(model, a, b, steps=1)
    with pytest.raises(ShapeError, match="the same for both"):
        interpolate(model, a, items(2))


def test_a_traversal_moves_one_dimension_and_leaves_the_others() -> None:
    model, anchor = Rulers(3), items(1)[0]
    z = codes_of(traverse(model, anchor, dims=[2, 0], span=2.0, steps=5), 3)
    assert z.shape == (2, 5, 3)
    torch.testing.assert_close(z[0, :, 2], torch.linspace(-2, 2, 5, dtype=torch.float64))
    torch.testing.assert_close(z[0, :, :2], posterior_means(model, anchor)[:2].expand(5, 2))
    torch.testing.assert_close(z[1, :, 0], torch.linspace(-2, 2, 5, dtype=torch.float64))


def test_a_traversal_without_anchor_goes_through_the_origin_in_every_dimension() -> None:
    z = codes_of(traverse(Rulers(3), steps=3), 3)
    assert z.shape == (3, 3, 3)
    assert torch.equal(z[:, 1], torch.zeros(3, 3, dtype=torch.float64))
    assert torch.equal(z[:, 2], 3 * torch.eye(3, dtype=torch.float64))


def test_codes_set_the_middle_and_the_scale_of_a_traversal() -> None:
    codes = torch.tensor([[9.0, -4.0], [11.0, -4.0]])
    z = codes_of(traverse(Rulers(2), dims=[0, 1], span=2.0, steps=3, codes=codes), 2)
    assert z[0].tolist() == [[8, -4], [10, -4], [12, -4]]
    assert z[1].tolist() == [[10, -4]] * 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"dims": [3]}, "dimension 3, expected 0 to 2"), ({"dims": []}, "no dimensions"), ({"steps": 1}, "steps=1")],
)
def test_wrong_calls_of_traverse_get_one_clear_sentence(wrong: dict[str, list[int]], message: str) -> None:
    with pytest.raises(PartError, match=message):
        traverse(Rulers(3), **wrong)


@pytest.mark.parametrize(("prior", "exact"), [(NormalPrior(2), Normal(0.0, 1.0)), (LaplacePrior(2), Laplace(0.0, 1.0))])
def test_the_grid_runs_over_the_quantiles_of_the_prior(prior: nn.Module, exact: Distribution) -> None:
    z = codes_of(grid(Rulers(2, prior=prior.double()), side=5), 2)
    expected = exact.icdf(torch.linspace(0.01, 0.99, 5)).double()
    assert z.shape == (5, 5, 2)
    torch.testing.assert_close(z[3, :, 0], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(z[:, 2, 1], expected.flip(0), atol=1e-5, rtol=0)


class TwoBumps(nn.Module):
    """A prior without an inverse distribution function: bumps at -2 and 2 in both dimensions."""

    def forward(self, infer: object = None) -> Distribution:
        means = torch.tensor([[-2.0, -2.0], [2.0, 2.0]], dtype=torch.float64)
        bumps = Independent(Normal(means, torch.full_like(means, 0.1)), 1)
        return MixtureSameFamily(torch.distributions.Categorical(logits=torch.zeros(2, dtype=torch.float64)), bumps)


def test_a_prior_without_inverse_gives_quantiles_by_drawing() -> None:
    before = torch.get_rng_state()
    z = codes_of(grid(Rulers(2, prior=TwoBumps()), side=4), 2)
    assert torch.equal(torch.get_rng_state(), before)
    # Quartile means of a bump of scale 0.1 lie within 0.3 of its centre.
    torch.testing.assert_close(z[0, :, 0], torch.tensor([-2.0, -2.0, 2.0, 2.0]).double(), atol=0.3, rtol=0)


def test_the_grid_of_a_model_without_prior_needs_codes() -> None:
    model = Rulers(2)
    with pytest.raises(RefusedError, match="Pass codes"):
        grid(model)
    codes = torch.stack([torch.linspace(0, 100, 101), torch.linspace(200, 300, 101)], dim=1)
    z = codes_of(grid(model, side=3, codes=codes), 2)
    torch.testing.assert_close(z[0, :, 0], torch.tensor([1.0, 50.0, 99.0]).double())
    torch.testing.assert_close(z[:, 0, 1], torch.tensor([299.0, 250.0, 201.0]).double())


def test_wrong_calls_of_grid_get_one_clear_sentence() -> None:
    with pytest.raises(PartError, match="latent_dim=3, expected 2"):
        grid(Rulers(3, prior=NormalPrior(3)))
    with pytest.raises(PartError, match="side=1"):
        grid(Rulers(2, prior=NormalPrior(2)), side=1)


def test_two_dimensions_are_projected_as_they_are() -> None:
    codes = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    shown = project(codes)
    assert torch.equal(shown.points, codes)
    assert shown.explained == 1.0
    assert shown.method == "identity"


def test_one_dimension_is_kept_and_spread_by_the_seed() -> None:
    codes = torch.arange(4.0)[:, None]
    shown, again, other = project(codes, seed=1), project(codes, seed=1), project(codes, seed=2)
    assert torch.equal(shown.points[:, 0], codes[:, 0])
    assert shown.method == "jitter"
    assert torch.equal(shown.points, again.points)
    assert not torch.equal(shown.points, other.points)


def test_the_projection_finds_the_two_widest_axes_and_their_share() -> None:
    draws = torch.randn(4000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    codes = draws * torch.tensor([1.0, 6.0, 0.5, 3.0, 0.1]) + 7
    shown = project(codes)
    variances = codes.var(0, correction=0)
    # The sample axes lean by about 1 / sqrt(4000) against the true ones.
    assert shown.explained == pytest.approx(float(variances[[1, 3]].sum() / variances.sum()), abs=2e-3)
    assert abs(torch.corrcoef(torch.stack([shown.points[:, 0], codes[:, 1]]))[0, 1]) > 0.999
    torch.testing.assert_close(shown.points.mean(0), torch.zeros(2, dtype=torch.float64), atol=1e-10, rtol=0)


@pytest.mark.parametrize("codes", [torch.ones(1, 3), torch.ones(4, 40)])
def test_codes_without_any_spread_project_to_the_origin(codes: Tensor) -> None:
    shown = project(codes)
    assert torch.equal(shown.points, torch.zeros(len(codes), 2))
    assert shown.explained == 1.0


@pytest.mark.parametrize("codes", [torch.zeros(0, 3), torch.zeros(3)])
def test_project_says_what_it_expects(codes: Tensor) -> None:
    with pytest.raises(ShapeError, match=r"expected \(N, L\)"):
        project(codes)


def test_more_dimensions_than_codes_have_the_same_principal_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smaller Gram matrix has the same eigenvalues, and its vectors lead to the same axes."""
    codes = torch.randn(30, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    first = project(codes)
    monkeypatch.setattr("reparam.latents.projections.MANY", 1)
    second = project(codes)
    assert second.explained == pytest.approx(first.explained)
    assert torch.allclose(first.points, second.points, atol=1e-9)  # eigenvectors of two matrices, float64
    assert project(codes[:2]).points[:, 1].abs().max() < 1e-9  # two codes span one axis
    assert not project(codes[:1]).points.any()


def test_traversals_go_by_the_mean_and_spread_of_any_prior() -> None:
    """A mixture's are those of the whole; where nothing is known of them, 0 and 1."""
    data = tiny_data("real", (4,))
    model = build("vae", data, latent_dim=2, prior={"kind": "mixture", "components": 3}).eval()
    p_z = model.p_z()
    way = torch.tensor([-3.0, 0.0, 3.0])
    z = torch.stack([p_z.mean[0] + way * p_z.stddev[0], p_z.mean[1].expand(3)], 1)
    assert torch.allclose(traverse(model, dims=[0], steps=3, span=3.0)[0], model.decode(z).mean, atol=1e-5)


def test_a_shape_is_no_data() -> None:
    with pytest.raises(DataError, match=r"build: \(1, 28, 28\) are numbers, not data"):
        build("vae", (1, 28, 28))
