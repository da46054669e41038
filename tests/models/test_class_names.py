"""Classes by their names: a model knows what the classes of its data are called, and is told them so."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reparam.classes import ambiguous, class_places
from reparam.data import Data, load_data
from reparam.errors import PartError
from reparam.evaluation import classify, log_likelihood
from reparam.models import VAE, Autoencoder
from reparam.networks import ClassCondition
from reparam.recipes import build
from reparam.rng import reseed
from reparam.runs import fit, open_run
from reparam.store import load, save

NAMES = ("1", "2", "3")


def far_apart() -> tuple[Tensor, np.ndarray[Any, Any]]:
    """Points around 1, 2 or 3 times ten, and which."""
    y = np.arange(90) % 3 + 1
    x = 10.0 * y[:, None] + np.random.default_rng(0).normal(size=(90, 3))
    return torch.as_tensor(x, dtype=torch.float32), y


def own(names: tuple[str, ...] = NAMES) -> Data:
    x, y = far_apart()
    return load_data((x.numpy(), np.array(names)[y - 1]))


def model(recipe: str = "cvae", **settings: Any) -> Autoencoder:
    reseed(0)
    return build(recipe, own(), latent_dim=2, **settings).eval()


def same(a: Autoencoder, b: Autoencoder) -> bool:
    reseed(1)
    first = a.sample(3)
    reseed(1)
    return torch.equal(first, b.sample(3))


@pytest.mark.parametrize("recipe", ["cvae", "m2"])
def test_a_class_is_told_by_its_name(recipe: str) -> None:
    vae = model(recipe)
    assert vae.class_names == NAMES
    assert same(vae.given(labels="3"), vae.given(labels=torch.tensor(2)))
    for each in (["3", "1", "2"], np.array(["3", "1", "2"]), np.array(["3", "1", "2"], dtype=object)):
        assert same(vae.given(labels=each), vae.given(labels=torch.tensor([2, 0, 1])))


def test_names_go_wherever_a_class_is_told() -> None:
    vae, (x, y) = model(), far_apart()
    names, places = y.astype(str), torch.as_tensor(y - 1)
    z = torch.zeros(len(x), 2)
    assert torch.equal(vae.encode(x, labels=names), vae.encode(x, labels=places))
    assert torch.equal(vae.reconstruct(x, labels=names), vae.reconstruct(x, labels=places))
    assert torch.equal(vae.infer(x, labels=names).mean, vae.infer(x, labels=places).mean)
    assert torch.equal(vae.decode(z, labels=names).mean, vae.decode(z, labels=places).mean)
    assert torch.equal(
        log_likelihood(vae, x, samples=2, labels=names), log_likelihood(vae, x, samples=2, labels=places)
    )
    traces = []
    for labels in (names, places):
        reseed(2)
        traces.append(vae.trace(x, labels=labels).z)
    assert torch.equal(*traces)


def test_semi_supervised_and_grouped_models_take_names_in_training() -> None:
    x, y = far_apart()
    named = model("m2").train().trace(x, labels=y.astype(str)).penalty
    assert torch.equal(named, model("m2").train().trace(x, labels=torch.as_tensor(y - 1)).penalty)
    grouped = model("ml-vae", content_dim=1)
    assert torch.equal(grouped.infer(x, labels=y.astype(str)).mean, grouped.infer(x, labels=y).mean)


@pytest.mark.parametrize("told", [1, [1, 2], np.array([1, 2]), np.int64(3)])
def test_a_number_that_could_be_a_name_is_refused(told: Any) -> None:
    with pytest.raises(PartError, match=r"a name or a place\. Give the name as a text, labels='1', or a torch tensor"):
        model().sample(2, labels=told)


@pytest.mark.parametrize("names", [("0", "1", "2"), ("cat", "dog", "eel")])
def test_a_number_that_is_no_other_name_is_a_place(names: tuple[str, ...]) -> None:
    reseed(0)
    vae = build("cvae", own(names), latent_dim=2)
    assert not ambiguous(names)
    fixed = np.array([2])
    fixed.flags.writeable = False  # as a column of a data frame is
    for told in (2, np.int64(2), names[2]):
        assert same(vae.given(labels=told), vae.given(labels=torch.tensor(2)))
    assert class_places(fixed, names, "VAE").tolist() == [2]
    assert torch.equal(class_places([0.25, 0.25, 0.5], names, "VAE"), torch.tensor([0.25, 0.25, 0.5]))  # shares


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("4", r"VAE: there is no class '4'\. There are: 1, 2, 3\."),
        (["1", "33"], r"no class '33'\. Did you mean '3'\?"),
        (None, "expected names of classes, or a tensor of their places"),
        ([["1"], ["1", "2"]], "expected names of classes"),
    ],
)
def test_what_is_no_class_is_refused(told: Any, said: str) -> None:
    with pytest.raises(PartError, match=said):
        model().given(labels=told)


def test_a_model_that_knows_no_names_says_how_to_tell_it() -> None:
    vae = model()
    vae.class_names = ()
    with pytest.raises(PartError, match=r"does not know what its classes are called.*model\.class_names = "):
        vae.given(labels="1")
    vae.class_names = NAMES
    assert same(vae.given(labels="1"), vae.given(labels=torch.tensor(0)))


def test_other_things_are_told_in_numbers() -> None:
    x = far_apart()[0].numpy()
    vae = build("cvae", load_data({"x": x, "attributes": x[:, :2]}), latent_dim=2)
    with pytest.raises(PartError, match="attributes is 'tall', expected a number or a tensor of them"):
        vae.given(attributes="tall")


def test_names_are_kept_with_the_model(tmp_path: Path) -> None:
    run = fit(model(), own(), epochs=1, out=tmp_path / "run", device="cpu")
    assert load(tmp_path / "run").class_names == open_run(tmp_path / "run", "cpu").class_names == NAMES
    save(run.model, tmp_path / "alone")
    assert load(tmp_path / "alone").class_names == NAMES
    config = tmp_path / "run" / "model" / "config.json"
    older = {name: value for name, value in json.loads(config.read_text()).items() if name != "classes"}
    config.write_text(json.dumps(older))  # as it was before models kept them
    assert load(tmp_path / "run").class_names == NAMES


def test_a_model_made_by_hand_learns_the_names_in_training() -> None:
    vae = model()
    assert isinstance(vae, VAE)
    by_hand = VAE(vae.encoder, vae.posterior, vae.prior, vae.decoder, vae.likelihood, condition=ClassCondition(3))
    assert by_hand.class_names == ()
    assert fit(by_hand, own(), epochs=1, device="cpu").class_names == by_hand.class_names == NAMES


def test_the_answer_of_classify_is_in_the_order_of_the_names() -> None:
    x, y = far_apart()
    vae = fit(model(), own(), epochs=60, device="cpu").model
    answers = np.array(vae.class_names)[classify(vae, x, 5).argmax(1).numpy()]
    assert (answers == y.astype(str)).mean() > 0.9
