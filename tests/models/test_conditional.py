"""Models that are told something of each example: flat ones, and hierarchies."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reparam.data import Data, load_data
from reparam.errors import DataError, PartError, RefusedError, ShapeError
from reparam.evaluation import evaluate, log_likelihood
from reparam.latents import interpolate, traverse
from reparam.models import Autoencoder, HierarchicalVAE
from reparam.networks import VectorCondition
from reparam.objectives import ELBO
from reparam.recipes import build
from reparam.recipes.basic import BASIC
from reparam.recipes.latents import LATENTS
from reparam.recipes.objectives import OBJECTIVES
from reparam.recipes.quantised import QUANTISED
from reparam.rng import reseed
from reparam.runs import train
from reparam.store import load, save
from tests.contracts.members import seeded_, tiny_data

B = 6


def model(
    kind: str = "levels", shape: tuple[int, ...] = (1, 9, 8), recipe: str = "cvae", **settings: Any
) -> Autoencoder:
    reseed(0)
    vae = build(recipe, tiny_data(kind, shape), **{"condition": "classes"} | settings)
    return seeded_(vae)  # type: ignore[return-value]


each_model = pytest.mark.parametrize("recipe", ["cvae", "hvae", "biva"])


def examples(shape: tuple[int, ...] = (1, 9, 8)) -> tuple[Tensor, Tensor]:
    reseed(1)
    return torch.rand(B, *shape), torch.arange(B) % 3


def attributes(count: int = 60) -> Data:
    """Points around a place that two numbers with units of their own describe."""
    reseed(2)
    a = torch.randn(count, 2) * torch.tensor([3.0, 0.1]) + torch.tensor([10.0, 0.0])
    x = torch.cat([a, a.flip(1)], 1) + 0.1 * torch.randn(count, 4)
    return load_data({"x": x.numpy(), "attributes": a.numpy()})


@each_model
def test_every_part_is_told(recipe: str) -> None:
    vae, (x, labels) = model(recipe=recipe), examples()
    assert vae.conditions == ("labels",)
    other = (labels + 1) % 3
    z = torch.randn(B, vae.latent_dim)
    assert not torch.allclose(vae.infer(x, labels=labels).mean, vae.infer(x, labels=other).mean)
    assert not torch.allclose(vae.decode(z, labels=labels).mean, vae.decode(z, labels=other).mean)
    assert not torch.allclose(vae.p_z(labels=labels).mean, vae.p_z(labels=other).mean)


@each_model
@pytest.mark.parametrize("into", [("encoder",), ("decoder",), ("prior",), ("encoder", "decoder")])
def test_the_user_chooses_who_is_told(into: tuple[str, ...], recipe: str) -> None:
    vae, (x, labels) = model(recipe=recipe, condition_into=into), examples()
    other, z = (labels + 1) % 3, torch.zeros(B, vae.latent_dim)
    top = vae.hierarchy.latent_dims[0] if isinstance(vae, HierarchicalVAE) else vae.latent_dim  # all groups read above

    def moved(one: Tensor, another: Tensor) -> bool:
        return not torch.allclose(one[..., :top], another[..., :top])

    changed = {
        "encoder": moved(vae.infer(x, labels=labels).mean, vae.infer(x, labels=other).mean),
        "decoder": not torch.allclose(vae.decode(z, labels=labels).mean, vae.decode(z, labels=other).mean),
        "prior": moved(vae.p_z(labels=labels).mean, vae.p_z(labels=other).mean),
    }
    assert {name for name, there in changed.items() if there} == set(into)
    assert vae.trace(x, labels=labels).elbo.isfinite().all()


@each_model
def test_given_tells_once_for_all(recipe: str) -> None:
    vae, (x, _) = model(recipe=recipe), examples()
    told = vae.given(labels=2)
    assert (told.conditions, vae.conditions) == ((), ("labels",))
    assert torch.equal(told.infer(x).mean, vae.infer(x, labels=torch.full((B,), 2)).mean)
    assert torch.equal(told.infer(x[0]).mean, vae.infer(x[0], labels=torch.tensor(2)).mean)
    reseed(3)
    first = told.sample(5)
    reseed(3)
    # rounding: products with one vector and with five like it are summed in another order
    assert torch.allclose(first, vae.sample(5, labels=torch.full((5,), 2)), rtol=1e-4, atol=1e-2)
    assert {id(p) for p in told.parameters()} == {id(p) for p in vae.parameters()}
    assert torch.equal(
        vae.given(labels=torch.arange(B) % 3).reconstruct(x), vae.reconstruct(x, labels=torch.arange(B) % 3)
    )


def test_a_large_batch_is_judged_by_what_each_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many fit at once, and whichever way they are told."""
    vae = model()
    x, labels = torch.rand(230, 1, 9, 8), torch.arange(230) % 3
    each = log_likelihood(vae, x, samples=3, labels=labels)
    assert torch.equal(log_likelihood(vae.given(labels=labels), x, samples=3), each)
    alike = log_likelihood(vae, x, samples=3, labels=2)
    assert torch.equal(alike, log_likelihood(vae.given(labels=2), x, samples=3))
    with pytest.raises(PartError, match=r"it takes no 'num_samples'\. Did you mean 'samples'"):
        log_likelihood(vae, x, labels=2, num_samples=3)


@pytest.mark.parametrize("labels", [1.0, torch.tensor([1.0, 2.0])])
def test_class_numbers_that_are_not_whole_are_no_probabilities(labels: Any) -> None:
    with pytest.raises(PartError, match=r"no probabilities of 3 classes. Give class numbers as whole numbers"):
        model().encode(torch.rand(2, 1, 9, 8), labels=labels)


def test_what_a_model_does_not_take_is_refused() -> None:
    vae, (x, labels) = model(), examples()
    plain = build("vae", tiny_data("levels", (1, 9, 8)))
    with pytest.raises(PartError, match=r"VAE: it takes no 'sampels'\. Did you mean 'samples'"):
        plain.trace(x, sampels=5)
    with pytest.raises(PartError, match="VAE: it takes no 'labels'"):
        plain.infer(x, labels=labels)
    with pytest.raises(PartError, match=r"it takes no 'label'\. Did you mean 'labels'"):
        vae.decode(torch.randn(B, vae.latent_dim), label=labels)


def test_judging_one_that_was_told_leaves_the_other_as_it_was() -> None:
    vae, (x, labels) = model(), examples()
    told = vae.train().given(labels=labels)
    vae.eval()
    log_likelihood(told, x, samples=3)
    assert not any(part.training for part in vae.modules())


def test_traversals_go_around_the_mean_of_what_was_told() -> None:
    vae = model().given(labels=1)
    p_z = vae.p_z()
    around = p_z.mean + 3 * p_z.stddev * torch.eye(vae.latent_dim)
    walks = traverse(vae, steps=3)
    assert torch.allclose(walks[:, 1], vae.decode(p_z.mean).mean.expand_as(walks[:, 1]), atol=1e-6)
    assert torch.allclose(walks[:, 2], vae.decode(around).mean, atol=1e-6)


@each_model
def test_an_example_alone_and_in_a_batch(recipe: str) -> None:
    vae, (x, labels) = model(recipe=recipe).double(), examples()
    x = x.double()
    q = vae.infer(x, labels=labels)
    for number in range(B):
        alone = vae.infer(x[number], labels=labels[number])
        assert alone.batch_shape == ()
        # float64 rounding of sums in another order
        assert torch.allclose(alone.mean, q.mean[number], atol=1e-12)
    trace = vae.trace(x, samples=4, labels=labels)
    assert torch.equal(trace.log_w, trace.log_p_x + trace.log_p_z - trace.log_q)
    assert trace.kl.shape[:2] == (4, B)
    code = torch.zeros(vae.latent_dim, dtype=torch.float64)
    assert vae.decode(code, labels=torch.tensor(1)).mean.shape == (1, 9, 8)


@each_model
def test_likelihood_is_that_of_x_given_c(recipe: str) -> None:
    """Averaged over the classes by Bayes' rule, the class of an example is the one under which it is likely."""
    vae, (x, labels) = model("binary", recipe=recipe), examples()
    x = x.round()
    by_class = torch.stack([log_likelihood(vae.given(labels=k), x, 50) for k in range(3)], 1)
    told = log_likelihood(vae, x, 50, labels=labels)
    assert torch.allclose(told, by_class[torch.arange(B), labels])


@pytest.mark.parametrize("top", ["normal", "mixture", "flow", "vamp", "exemplar"])
def test_any_prior_stands_on_top_of_a_hierarchy_that_is_told(top: str) -> None:
    vae, (x, labels) = model(recipe="hvae", top=top), examples()
    vae.start(torch.rand(510, 1, 9, 8), labels=torch.arange(510) % 3)
    told = vae.given(labels=labels)
    z = vae.encode(x, labels=labels)
    assert torch.equal(told.p_z().log_prob(z), vae.p_z(labels=labels).log_prob(z))
    assert log_likelihood(vae, x, 3, labels=labels).isfinite().all()
    assert vae.trace(x, labels=labels).log_p_z.isfinite().all()
    assert told.sample(B).shape == vae.sample(B, temperature=0.5, labels=1).shape == (B, 1, 9, 8)


@pytest.mark.parametrize("hidden_dims", [[12], [12, 12]])
def test_what_a_condition_does_depends_on_the_code(hidden_dims: list[int]) -> None:
    vae = model("real", (5,), recipe="hvae", hierarchy={"hidden_dims": hidden_dims, "latent_dims": [2, 3]})
    z = torch.randn(50, 5)
    apart = vae.decode(z, labels=0).mean - vae.decode(z, labels=1).mean
    assert (apart.std(0) > 1e-3).all()


@pytest.mark.parametrize("name", [*BASIC, *OBJECTIVES, *LATENTS, *QUANTISED])
def test_any_flat_recipe_takes_a_condition(name: str) -> None:
    reseed(0)
    vae, (x, labels) = build(name, tiny_data("levels", (1, 8, 8)), condition="classes"), examples((1, 8, 8))
    assert vae.conditions == ("labels",)
    assert vae.trace(x, labels=labels).log_p_x.isfinite().all()


def test_a_part_that_cannot_be_told_is_left_out_unless_it_is_asked_for() -> None:
    data = tiny_data("levels", (1, 9, 8))
    assert "ConditionalPrior" not in repr(build("svae", data, condition="classes"))
    assert "ConditionalPrior" in repr(build("vae", data, condition="classes"))
    vamp = build("vamp-vae", data, condition="classes", prior={"components": 3})
    assert hasattr(vamp.decoder, "condition_dim")
    assert not hasattr(vamp.encoder, "condition_dim")
    with pytest.raises(PartError, match="a shift by c would leave"):
        build("svae", data, condition="classes", condition_into=["decoder", "prior"])


@each_model
def test_a_batch_of_one_and_of_none(recipe: str) -> None:
    vae, (x, _) = model(recipe=recipe), examples()
    one = torch.tensor([1])
    assert torch.equal(vae.encode(x[0], labels=one), vae.encode(x[0], labels=1))
    assert torch.equal(vae.reconstruct(x[0], labels=one), vae.reconstruct(x[0], labels=1))
    assert vae.sample(3, labels=one).shape == (3, 1, 9, 8)
    assert vae.sample(0, labels=1).shape == vae.reconstruct(x[:0], labels=1).shape == (0, 1, 9, 8)


def test_refusals() -> None:
    vae, (x, labels) = model(), examples()
    with pytest.raises(RefusedError, match=r"must be told 'labels'.*model\.given\(labels=\.\.\.\)"):
        vae.infer(x)
    with pytest.raises(RefusedError, match="must be told 'labels'"):
        vae.sample(3)
    with pytest.raises(ShapeError, match="told of 6 examples, expected one value or 4"):
        vae.sample(4, labels=labels)
    with pytest.raises(PartError, match=r"there is no class 'owl'\. There are: 0, 1, 2"):
        vae.given(labels="owl")
    with pytest.raises(PartError, match=r"takes no 'label'\. Did you mean 'labels'"):
        vae.given(label=3)
    with pytest.raises(PartError, match=r"takes no 'labels'\. It takes nothing beside x"):
        build("vae", tiny_data("levels", (1, 9, 8))).given(labels=1)
    with pytest.raises(PartError, match="q is told a condition that they do not have"):
        model(prior={"kind": "vamp", "components": 3}, condition_into=("encoder", "decoder"))
    assert model(prior={"kind": "vamp", "components": 3}, condition_into=("decoder",)).trace(x, labels=labels)
    with pytest.raises(PartError, match="no part takes it"):
        model(condition_into=())


def test_refusals_of_hierarchies() -> None:
    with pytest.raises(PartError, match="q is told a condition that they do not have"):
        model(recipe="hvae", top={"kind": "vamp", "components": 3}, condition_into=("encoder", "decoder"))
    with pytest.raises(PartError, match=r"would end at the top group\. Set skip, or leave 'decoder' out"):
        model(shape=(1, 16, 16), recipe="ladder-vae", hierarchy={"skip": False})


def test_no_name_is_swallowed() -> None:
    vae = build("vae", tiny_data("levels", (1, 9, 8)))
    for ask in (lambda: vae.sample(3, temprature=0.5), lambda: vae.reconstruct(torch.rand(1, 9, 8), labels=1)):
        with pytest.raises(PartError, match="It takes nothing beside x"):
            ask()


@each_model
def test_conditions_must_be_as_many_as_examples(recipe: str) -> None:
    vae, (x, labels) = model(recipe=recipe), examples()
    for ask in (
        lambda: vae.infer(x, labels=labels[:4]),
        lambda: vae.decode(torch.zeros(4, vae.latent_dim), labels=labels),
        lambda: vae.reconstruct(x, labels=labels[:2]),
    ):
        with pytest.raises(ShapeError, match="Give one value for all, or one for each"):
            ask()
    many = vae.given(labels=torch.arange(300) % 3)
    assert many.told_each
    with pytest.raises(ShapeError, match="told of each example apart"):
        interpolate(many, torch.rand(300, 1, 9, 8), torch.rand(300, 1, 9, 8))


def test_there_is_no_one_prior_to_compare_codes_with() -> None:
    data = tiny_data("real", (4,))
    with pytest.raises(RefusedError, match="there is no one p\\(z\\) to compare with"):
        evaluate(build("cvae", data), data.test, ["collapse"])


def test_constant_attributes_keep_their_unit() -> None:
    condition = VectorCondition(2)
    condition.start(torch.tensor([[0.1, 1.0], [0.1, 3.0], [0.1, 2.0]]))
    assert condition(torch.tensor([0.6, 2.0])).tolist() == pytest.approx([0.5, 0.0], abs=1e-6)


def test_data_without_anything_to_be_told() -> None:
    data = load_data(torch.rand(30, 4).numpy())
    with pytest.raises(PartError, match=r"classes finds nothing to be told in .* which has nothing beside x"):
        build("cvae", data)
    with pytest.raises(PartError, match=r"which has labels beside x\. Set model\.condition to classes, or a recipe"):
        build("cvae", tiny_data("levels", (1, 9, 8)), condition="vector")
    with pytest.raises(DataError, match="The model needs 'labels' with each example"):
        train("vae", {"model": {"condition": {"kind": "classes", "classes": 3}}, "train": {"epochs": 1}}, data=data)


@pytest.mark.unchecked
@pytest.mark.parametrize("recipe", ["cvae", "hvae"])
def test_attributes(recipe: str, tmp_path: Path) -> None:
    """They are standardised by the training split, kept with the weights, and say where x lies."""
    data = attributes(400)
    sizes = {"latent_dim": 1} if recipe == "cvae" else {"hierarchy": {"latent_dims": [1, 1], "hidden_dims": [32, 32]}}
    how = {"epochs": 20, "batch_size": 64, "learning_rate": 4e-3, "validations": 1, "tensorboard": False}
    settings = {"train": how, "model": sizes | {"condition": "vector"}, "seed": 1}
    run = train(recipe, settings, data=data, device="cpu")
    assert run.model.conditions == ("attributes",)
    test = data.test.batch(slice(None))
    told = run.model.sample(len(test), attributes=test.named["attributes"])
    # told where it is, a new example lies there; columns have spreads of 3 and 0.1
    assert (told - test.x).abs().mean(0).lt(torch.tensor([1.5, 0.2, 0.2, 1.5])).all()
    save(run.model, tmp_path / "model", run.spec)
    again = load(tmp_path / "model")
    assert torch.equal(
        again.reconstruct(test.x, attributes=test.named["attributes"]),
        run.model.reconstruct(test.x, attributes=test.named["attributes"]),
    )


def test_judged_by_what_the_examples_are_told() -> None:
    data = load_data("digits")
    run = train("cvae", {"train": {"epochs": 3, "tensorboard": False}}, data=data, device="cpu")
    found = evaluate(run.model, data.test, ["elbo", "nll", "reconstruction", "continuity", "ppc"], samples=5)
    assert found["nll"] < -found["elbo"]
    assert found["continuity_jump"] > 1
    assert found["ppc_mean_model"] > 0


@pytest.mark.parametrize("recipe", ["cvae", "ladder-vae"])
def test_trains_as_a_part_of_any_objective(recipe: str) -> None:
    """Draws from p(z|c) over the batch are what an aggregate posterior is matched with."""
    data = tiny_data("real", (4,))
    flat = ("mmd", "sliced", "factor", "beta-tc", "stl") if recipe == "cvae" else ()
    for kind in ("adversarial", "iwae", "dreg", *flat):
        settings = {"objective": kind, "train": {"epochs": 1, "batch_size": 8, "tensorboard": False}}
        run = train(recipe, settings | {"model": {"condition": "classes"}}, data=data, device="cpu")
        assert all(torch.tensor(row["loss"]).isfinite() for row in run.metrics)
    assert ELBO()(run.model, data.test.batch(slice(None)), _progress()).value.isfinite().all()


def _progress() -> Any:
    from reparam.trace import Progress

    return Progress()
