"""Arguments of a wrong kind: each public function and each part answers with one sentence of its own."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import reparam
from reparam.arguments import checked
from reparam.errors import ConfigError, PartError, ReparamError, ShapeError
from reparam.likelihoods import NormalLikelihood
from reparam.networks import MLPDecoder, MLPEncoder
from reparam.posteriors import NormalPosterior
from reparam.priors import NormalPrior
from reparam.runs import Run
from tests.contracts.members import tiny_data


def vae(**other: Any) -> reparam.VAE:
    """A small VAE, or what other parts make of it."""
    encoder = MLPEncoder((4,), [8])
    parts: dict[str, Any] = {
        "encoder": encoder,
        "posterior": NormalPosterior(encoder.out_dim, 2),
        "prior": NormalPrior(2),
        "decoder": MLPDecoder(2, (4,), [8]),
        "likelihood": NormalLikelihood((4,)),
    }
    return reparam.VAE(**(parts | other))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"posterior": "normal"}, "VAE: posterior is 'normal', expected a posterior, such as NormalPosterior("),
        ({"prior": torch.distributions.Normal(0.0, 1.0)}, "VAE: prior is a Normal, expected a prior, such as "),
        ({"prior": nn.Linear(2, 2)}, "VAE: prior is a Linear, expected a prior"),
        ({"likelihood": NormalLikelihood}, "VAE: likelihood is the class NormalLikelihood, expected a likelihood"),
        ({"encoder": MLPEncoder}, "VAE: encoder is the class MLPEncoder, expected a network"),
        ({"decoder": None}, "VAE: decoder is None, expected a network"),
        ({"condition": "labels"}, "VAE: condition is 'labels', expected a condition"),
        ({"kl": 3}, "VAE: kl is 3. There are: auto, closed, sampled."),
    ],
)
def test_parts_of_a_model(other: dict[str, Any], said: str) -> None:
    with pytest.raises(PartError) as raised:
        vae(**other)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda run: reparam.fit(5, run.data), "fit: model is 5, expected a model, such as"),  # type: ignore[arg-type]
        (lambda run: reparam.fit(reparam.VAE, run.data), "fit: model is the class VAE"),  # type: ignore[arg-type]
        (lambda run: reparam.fit(run, run.data), "VAE(...). Take its model."),
        (lambda run: reparam.fit(run.model, run.data, nn.Linear(2, 2)), "fit: objective is Linear("),
        (lambda run: reparam.fit(run.model, run.data, out=5), "fit: out is 5, expected a path."),  # type: ignore[arg-type]
        (lambda run: reparam.evaluate(run, ["nll"]), "evaluate: model is a Run, expected a model"),  # type: ignore[arg-type]
        (
            lambda run: reparam.evaluate(run.model, run.data.test, 5),
            "evaluate: metrics is 5, expected names",
        ),
        (lambda run: reparam.log_likelihood(run, torch.zeros(2, 4)), "log_likelihood: model is a Run"),
        (lambda run: reparam.log_likelihood(run.model, torch.zeros(2, 4), "5"), "samples is '5', expected a whole"),
        (lambda run: reparam.interpolate(run, *torch.zeros(2, 4)), "interpolate: model is a Run"),
        (lambda run: reparam.load(None), "load: path is None, expected a path."),  # type: ignore[arg-type]
        (lambda run: reparam.open_run(run.model), "open_run: path is a VAE, expected a path."),
        (lambda run: reparam.save("there", run.model), "save: model is 'there', expected a model"),  # type: ignore[arg-type]
        (lambda run: reparam.train(5), "train: recipe is 5, expected the name of a recipe"),  # type: ignore[arg-type]
        (lambda run: reparam.train("vae", "digits"), "train: over is 'digits', expected settings by section"),  # type: ignore[arg-type]
        (lambda run: reparam.write_report(run.model), "write_report: run is a VAE, expected a run"),
        (
            lambda run: run.evaluate(["nll"]),
            "evaluate: split is a list, expected one split of the data, such as data.test",
        ),
        (lambda run: run.model.sample(2, temperature="a"), "sample: temperature is 'a', expected a number"),
        (lambda run: reparam.ELBO(samples="a"), "ELBO: samples is 'a', expected a whole number."),  # type: ignore[arg-type]
        (lambda run: NormalPrior("2"), "NormalPrior: latent_dim is '2', expected a whole number."),  # type: ignore[arg-type]
        (lambda run: NormalLikelihood(4), "NormalLikelihood: data_shape is 4, expected whole numbers"),  # type: ignore[arg-type]
    ],
)
def test_public_functions(call: Callable[[Any], Any], said: str) -> None:
    data = tiny_data("real", (4,))
    run = Run(None, vae(), data.spec, reparam.Config.model_construct(), [], data)
    with pytest.raises(ReparamError) as raised:
        call(run)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value).partition("Linear(")[0]


@pytest.mark.parametrize("recipe", ["vae", "hvae", "m2", "ml-vae", "vrnn"])
def test_codes_of_another_width(recipe: str) -> None:
    model = reparam.build(recipe, tiny_data("real", (4, 3) if recipe == "vrnn" else (4,)))
    told = {"labels": torch.tensor([0])} if model.conditions else {}
    wide = torch.zeros(3, model.latent_dim + 1)
    with pytest.raises(ShapeError, match=r"VAE: z is of shape \(3, \d+\), expected a tensor of codes, of shape"):
        model.decode(wide, **told)
    with pytest.raises(ShapeError, match="VAE: z is a list, expected a tensor of codes, of shape"):
        model.decode([0.0], **told)  # type: ignore[arg-type]


def test_what_is_not_given_or_none_by_default_passes() -> None:
    @checked
    def called(model: Any, out: Any = None, samples: int = 3) -> int:
        return samples

    assert called(vae()) == called(vae(), None) == called(vae(), out="there", samples=3) == 3
    with pytest.raises(ConfigError, match="called: model is None, expected a model"):
        called(None)
    with pytest.raises(PartError, match="called: samples is None, expected a whole number"):
        called(vae(), samples=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        called()  # type: ignore[call-arg]
