"""The grouped model: its posterior, its bound, and what it refuses."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from reparam.composing import describe, rebuild
from reparam.data import Batch, load_data
from reparam.distributions import Grouped, Members, kl_groups
from reparam.errors import PartError, RefusedError, ShapeError
from reparam.latents import swap
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE, GroupedVAE
from reparam.networks import MLPDecoder, MLPEncoder
from reparam.objectives import ELBO, ImportanceBound, StyleMatchBound
from reparam.posteriors import FullNormalPosterior, NormalPosterior
from reparam.priors import LaplacePrior, NormalPrior
from reparam.processes import Processes
from reparam.recipes import build
from reparam.report.figures import draw_sections
from reparam.report.subject import look_at
from reparam.rng import reseed
from reparam.runs import fit, train
from reparam.trace import Progress
from tests.contracts.members import seeded_, tiny_data

D, L, CONTENT = 6, 5, 2
LABELS = torch.tensor([0, 1, 0, 2, 0, -1, 1])


def model(evidence: str = "product", dropout: float = 0.0) -> GroupedVAE:
    reseed(0)
    vae = VAE(
        MLPEncoder((D,), (7,)), NormalPosterior(7, L), NormalPrior(L), MLPDecoder(L, (D,), (7,)), NormalLikelihood((D,))
    )
    found = GroupedVAE(vae, CONTENT, evidence, dropout)  # type: ignore[arg-type]
    return seeded_(found).double()  # type: ignore[return-value]


def items() -> Tensor:
    reseed(1)
    return torch.randn(len(LABELS), D, dtype=torch.float64)


def test_content_of_a_group_is_the_normalised_product_of_its_members() -> None:
    grouped, x = model(), items()
    q, alone = grouped.infer(x, labels=LABELS), grouped.vae.infer(x).base_dist
    assert isinstance(q, Grouped)
    c = torch.linspace(-3, 3, 601, dtype=torch.float64)
    for label in (0, 1):
        members = label == LABELS
        for dim in range(CONTENT):
            logs = Normal(alone.loc[members, dim], alone.scale[members, dim]).log_prob(c[:, None]).sum(1)
            first = members.nonzero()[0, 0]
            found = Normal(q.mean[first, dim], q.stddev[first, dim]).log_prob(c)
            constant = found - logs
            assert torch.allclose(constant, constant[0].expand_as(constant), atol=1e-9)  # float64
            assert q.mean[members, dim].unique().numel() == 1
    for kept in (LABELS == 2, LABELS == -1):  # a group of one, and an example of no known group
        assert torch.allclose(q.mean[kept], alone.loc[kept])
        assert torch.allclose(q.stddev[kept], alone.scale[kept])
    assert torch.equal(q.mean[:, CONTENT:], alone.loc[:, CONTENT:])


def test_content_may_be_the_mean_of_the_members() -> None:
    grouped, x = model("mean"), items()
    q, alone = grouped.infer(x, labels=LABELS), grouped.vae.infer(x).base_dist
    members = LABELS == 0
    assert torch.allclose(q.mean[0, :CONTENT], alone.loc[members, :CONTENT].mean(0))
    assert torch.allclose(q.variance[0, :CONTENT], alone.variance[members, :CONTENT].mean(0))


def test_one_member_for_each_group_is_a_plain_vae() -> None:
    grouped, x = model().train(), items()[:3]
    reseed(3)
    trace = grouped.trace(x, 4, labels=torch.tensor([2, 0, 1]))
    reseed(3)
    plain = grouped.vae.trace(x, 4)
    assert torch.allclose(trace.elbo, plain.elbo)
    assert torch.allclose(trace.log_q, plain.log_q)


def test_the_bound_of_a_group_counts_its_content_once() -> None:
    grouped, x = model().train(), items()
    trace = grouped.trace(x, 1, labels=LABELS)
    q = trace.q
    total = torch.zeros((), dtype=torch.float64)
    prior = Normal(0.0, 1.0)
    for label in (0, 1, 2, -1):
        first = (label == LABELS).nonzero()[0, 0]
        own = torch.distributions.kl_divergence(Normal(q.mean, q.stddev), prior)[first, :CONTENT].sum()
        total = total + own
    style = torch.distributions.kl_divergence(Normal(q.mean, q.stddev), prior)[:, CONTENT:].sum()
    assert torch.allclose(trace.rate.sum(), total + style)
    assert trace.kl_dims is not None
    assert trace.kl_dims.shape == (1, len(x), L)


def test_sampled_kl_is_on_average_the_closed_one() -> None:
    grouped, x = model().train(), items()
    trace = grouped.trace(x, 20_000, labels=LABELS)
    sampled = kl_groups(trace.q, grouped.p_z(), trace.z, "sampled").sum(-1)
    assert torch.allclose(sampled, trace.log_q - trace.log_p_z)
    # four standard errors
    assert ((sampled.mean(0) - trace.rate).abs() < 4 * sampled.std(0) / 20_000**0.5).all()


def test_members_share_one_draw_of_the_content() -> None:
    grouped, x = model(), items()
    q = grouped.infer(x, labels=LABELS)
    reseed(2)
    z = q.rsample(torch.Size([20_000]))
    assert torch.equal(z[:, 0, :CONTENT], z[:, 2, :CONTENT])
    noise = (z - q.mean) / q.stddev
    # standard Normal in every dimension: four standard errors of mean and variance
    assert noise.mean(0).abs().max() < 4 / 20_000**0.5
    assert (noise.var(0) - 1).abs().max() < 4 * (2 / 20_000) ** 0.5
    across = torch.corrcoef(torch.stack([noise[:, 0, 0], noise[:, 1, 0], noise[:, 0, 3], noise[:, 2, 3]]))
    assert (across - torch.eye(4)).abs().max() < 5 / 20_000**0.5


def test_dropped_styles_are_those_of_the_prior() -> None:
    grouped, x = model(dropout=0.5).train(), items()
    reseed(4)
    q = grouped.trace(x, 1, labels=LABELS).q
    dropped = (q.mean[:, CONTENT:] == 0).all(1)
    assert 0 < dropped.sum() < len(x)
    assert torch.equal(q.stddev[dropped, CONTENT:], torch.ones_like(q.stddev[dropped, CONTENT:]))
    assert torch.equal(grouped.eval().trace(x, 1, labels=LABELS).q.mean, grouped.infer(x, labels=LABELS).mean)


def test_saved_with_a_number_of_groups_it_is_rebuilt() -> None:
    """As earlier versions wrote it."""
    described = describe(model(), "model") | {"groups": 3}
    assert describe(rebuild(described, "model"), "model") == describe(model(), "model")


def test_unknown_members_are_alone() -> None:
    members = Members(torch.tensor([7, 7, -1]), Processes())
    assert members.sizes.flatten().tolist() == [2.0, 2.0, 1.0]
    assert members.sum(torch.tensor([[1.0], [2.0], [5.0]])).flatten().tolist() == [3.0, 3.0, 5.0]


def test_trains_by_labels_and_is_judged_without() -> None:
    data = tiny_data("unit", (4,))
    settings = {"train": {"epochs": 2, "batch_size": 8, "validations": 1, "tensorboard": False}}
    settings["model"] = {"latent_dim": 4, "content_dim": 2}
    run = train("ml-vae", settings, data=data, device="cpu")
    x = data.test.batch(slice(None)).x
    assert type(run.model.infer(x)) is not Grouped
    found = run.evaluate("test", ["elbo", "nll"], samples=5)
    assert found["nll"] <= -found["elbo"] + 1.0  # of few samples and items
    contents = run.model.infer(x, labels=data.test.labels).mean[:, :2]
    assert len(contents.unique(dim=0)) == 3


def test_validation_puts_members_together_as_training_does() -> None:
    data = tiny_data("unit", (4,))
    settings = {"train": {"epochs": 2, "batch_size": len(data.train), "validations": 1, "tensorboard": False}}
    settings["model"] = {"latent_dim": 4, "content_dim": 2}
    run = train("ml-vae", settings, data=data, device="cpu")
    held = data.validation.batch(slice(None))
    together, alone = (run.model.trace(held.x, **named).rate.mean().item() for named in (held.pick(["labels"]), {}))
    assert run.metrics[-1]["rate"] == pytest.approx(together, rel=1e-5)
    assert together != pytest.approx(alone, rel=0.01)


def test_validation_without_groups_takes_each_alone() -> None:
    x = torch.rand(24, 4, generator=torch.Generator().manual_seed(0)).numpy()
    data = load_data({"x_train": x, "y_train": [0, 1, 2] * 8, "x_validation": x[:8], "x_test": x[:8]})
    settings = {"train": {"epochs": 1, "batch_size": 8, "validations": 1, "tensorboard": False}}
    run = train("ml-vae", settings | {"model": {"latent_dim": 4, "content_dim": 2}}, data=data, device="cpu")
    held = data.validation.batch(slice(None)).x
    assert run.metrics[-1]["rate"] == pytest.approx(run.model.trace(held).rate.mean().item(), rel=1e-5)


def test_swapped_items_keep_what_they_are_told_to() -> None:
    grouped, x = model().eval(), items()
    made = swap(grouped, x[:2], x[2:5])
    assert made.shape == (3, 2, D)
    z = grouped.infer(x).mean
    own = grouped.decode(torch.cat([z[1, :CONTENT], z[4, CONTENT:]])[None]).mean[0]
    assert torch.allclose(made[2, 1], own)
    with pytest.raises(RefusedError, match="no content apart from style"):
        swap(build("vae", torch.rand(9, 4)).eval(), torch.rand(1, 4), torch.rand(1, 4))


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    "shape", [(1, 5, 4), *(pytest.param(shape, marks=pytest.mark.slow) for shape in ((2, 5), (4,)))]
)
def test_the_report_shows_swaps(shape: tuple[int, ...]) -> None:
    data = tiny_data("unit", shape)
    grouped = build("ml-vae", data, latent_dim=4, content_dim=2).eval()
    sections = {section.name: section for section in draw_sections(look_at(grouped, data, {}), [])}
    shown = {figure.name: figure for figure in sections["traversals"].figures}
    assert shown["swaps"].title == "Content and style, swapped"
    assert "traversals" in shown
    plain = draw_sections(look_at(build("vae", data).eval(), data, {}), [])
    assert "swaps" not in {figure.name for section in plain for figure in section.figures}


def test_refuses_what_is_no_bound() -> None:
    grouped, x = model().train(), items()
    with pytest.raises(RefusedError, match="examples of a group share a draw"):
        ImportanceBound(3).bound(grouped.trace(x, 3, labels=LABELS), None)  # type: ignore[arg-type]
    assert ELBO().bound(grouped.trace(x, labels=LABELS), None) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"content_dim": 0}, "content_dim is 0 of 5 dimensions"),
        ({"content_dim": 5}, "content_dim is 5 of 5 dimensions"),
        ({"evidence": "sum"}, "evidence is 'sum'"),
        ({"style_dropout": 1.0}, "style_dropout is 1.0"),
        ({"prior": LaplacePrior(L)}, "Take a VAE with posterior and prior 'normal'"),
    ],
)
def test_refuses_parts_that_do_not_fit(changed: dict[str, object], sentence: str) -> None:
    given = {"content_dim": 2, "evidence": "product", "style_dropout": 0.0, "prior": NormalPrior(L)} | changed
    prior = given.pop("prior")
    vae = VAE(MLPEncoder((D,), (7,)), NormalPosterior(7, L), prior, MLPDecoder(L, (D,)), NormalLikelihood((D,)))  # type: ignore[arg-type]
    with pytest.raises(PartError, match=sentence):
        GroupedVAE(vae, **given)  # type: ignore[arg-type]


def test_a_posterior_that_is_no_product_of_normals_is_refused() -> None:
    vae = VAE(
        MLPEncoder((D,), (7,)), FullNormalPosterior(7, L), NormalPrior(L), MLPDecoder(L, (D,)), NormalLikelihood((D,))
    )
    with pytest.raises(PartError, match="Take a VAE with posterior and prior 'normal'"):
        GroupedVAE(vae, CONTENT)


def test_one_item_is_a_group_and_labels_are_one_for_each() -> None:
    grouped, x = model().train(), items()
    assert grouped.trace(x[0], labels=torch.tensor(1)).z.shape == (1, 1, L)
    assert swap(grouped.eval(), x[0], x[1]).shape == (1, 1, D)
    with pytest.raises(ShapeError, match="got 3 labels for 7 examples"):
        grouped.infer(x, labels=LABELS[:3])


@pytest.mark.parametrize("kind", ["introspective", "vae-gan", "reconstruction-gan"])
@pytest.mark.parametrize("recipe", ["ml-vae", "m2"])
def test_games_refuse_what_learns_from_labels(kind: str, recipe: str) -> None:
    with pytest.raises(RefusedError, match="the model learns from labels"):
        fit(build(recipe, tiny_data("unit", (4,))), tiny_data("unit", (4,)), {"kind": kind}, epochs=1, device="cpu")


def test_a_vae_of_double_precision_may_be_grouped() -> None:
    vae = model().vae
    assert vae.posterior.head.weight.dtype == torch.float64
    assert GroupedVAE(vae, CONTENT).infer(items(), labels=LABELS).mean.dtype == torch.float64


def test_data_without_labels_are_refused() -> None:
    with pytest.raises(PartError, match="is told groups or labels, and"):
        build("ml-vae", load_data(torch.rand(20, 4)))


def test_styles_of_each_group_are_matched_to_the_prior() -> None:
    """The distance of each group from the prior, by hand; groups of one count nothing."""
    reseed(0)
    objective = StyleMatchBound(scales=(0.5, 2.0)).double()
    styles = torch.randn(2, 6, 3, dtype=torch.float64) + 1
    together = Members(torch.tensor([0, 0, 0, 1, 1, -1]), Processes()).together
    draws = 1000
    reseed(1)
    found = torch.stack([objective.distance(styles, together) for _ in range(draws)])
    reseed(2)
    other = torch.randn(2, 20_000, 3, dtype=torch.float64)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        squares = (x.unsqueeze(-2) - y.unsqueeze(-3)).square().sum(-1)
        return sum(6 * scale / (6 * scale + squares) for scale in (0.5, 2.0))  # type: ignore[return-value]

    expected, pairs = torch.zeros(2, dtype=torch.float64), kernel(other[:, :1500], other[:, 1500:3000]).mean((-2, -1))
    for rows in ([0, 1, 2], [3, 4]):
        own, n = styles[:, rows], len(rows)
        within = (kernel(own, own).sum((-2, -1)) - 2 * n) / (n * (n - 1))
        expected += n / 5 * (within + pairs - 2 * kernel(own, other).mean((-2, -1)))
    assert torch.allclose(found.mean(0), expected, atol=4 * float(found.std(0).max()) / draws**0.5 + 2e-3)


def test_matching_styles_takes_a_model_of_groups() -> None:
    objective = StyleMatchBound().double()
    grouped, x = model().train(), items()
    bound = objective(grouped, Batch(x, {"labels": LABELS}), Progress(1, 10))
    assert bound.value.shape == (len(x),)
    assert (bound.terms["distance"] != 0).all()
    bound.loss.backward()
    assert all(parameter.grad is not None for parameter in grouped.vae.encoder.parameters())
    alone = objective.eval()(grouped.eval(), Batch(x, {}), Progress(1, 10))
    assert "distance" not in alone.terms
    with pytest.raises(RefusedError, match="no groups in this batch"):
        objective.train()(grouped.vae, Batch(x, {}), Progress(1, 10))
    with pytest.raises(PartError, match="kernel"):
        StyleMatchBound(kernel="tent")  # type: ignore[arg-type]
