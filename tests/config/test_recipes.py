"""How a recipe, the data and the user's settings make one configuration."""

from dataclasses import replace
from typing import Any

import pytest

from reparam.config import parse_config
from reparam.data import Data
from reparam.errors import ConfigError, DataError, UnknownNameError
from reparam.recipes import build, default_epochs, resolve
from reparam.runs import prepare
from tests.contracts.members import tiny_data


def grey(conventional: str = "none") -> Data:
    data = tiny_data("levels", (1, 8, 8))
    spec = replace(data.spec, conventional_binarize=conventional)
    return Data(*(replace(split, spec=spec) for split in (data.train, data.validation, data.test)))


def test_network_sets_both_ends() -> None:
    for network in ("mlp", {"kind": "mlp", "hidden_dims": [7]}):
        model = resolve("vae", grey(), {"model": {"network": network}}).model
        assert model is not None
        assert model.encoder == model.decoder
        assert model.encoder.kind == "mlp"
    assert model.encoder.settings == {"hidden_dims": [7]}


def test_one_end_goes_before_the_network() -> None:
    model = resolve("vae", grey(), {"model": {"network": "mlp", "decoder": "conv"}}).model
    assert model is not None
    assert (model.encoder.kind, model.decoder.kind) == ("mlp", "conv")


def test_settings_of_one_end_lie_over_the_network() -> None:
    network = {"kind": "mlp", "layer": "gated", "hidden_dims": [30, 30]}
    model = resolve("vae", grey(), {"model": {"network": network, "encoder": {"hidden_dims": [6]}}}).model
    assert model is not None
    assert model.encoder.settings == {"layer": "gated", "hidden_dims": [6]}
    assert model.decoder.settings == {"layer": "gated", "hidden_dims": [30, 30]}


@pytest.mark.parametrize(
    ("prior", "given", "expected"),
    [("vamp", {}, "density"), ("vamp", {"direction": "draw"}, "draw"), ("normal", {}, None), ("exemplar", {}, None)],
)
def test_a_flow_whose_density_the_prior_asks_for_gives_it_in_one_pass(
    prior: str, given: dict[str, Any], expected: str | None
) -> None:
    model = resolve("vae", grey(), {"model": {"posterior": {"kind": "flow", **given}, "prior": prior}}).model
    assert model is not None
    assert model.posterior.settings.get("direction") == expected


def test_the_users_settings_are_not_changed() -> None:
    over = {"model": {"network": "mlp"}, "train": {}}
    resolve("vae", grey(), over)
    assert over == {"model": {"network": "mlp"}, "train": {}}


def test_a_section_left_empty_says_nothing() -> None:
    """``model:`` alone in a YAML file."""
    empty: dict[str, Any] = {"model": None, "train": None, "data": None, "objective": None}
    assert resolve("vae", grey(), empty) == resolve("vae", grey())


@pytest.mark.parametrize("section", ["model", "train", "data"])
def test_a_section_that_is_no_mapping_is_one_line(section: str) -> None:
    with pytest.raises(ConfigError, match=f"my.yaml: {section}(.kind)?: "):  # a name is taken for a kind of model
        resolve("vae", grey(), {section: "conv"}, "my.yaml")


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"There is no recipe 'vea'. Did you mean 'vae'"):
        resolve("vea", grey())


@pytest.mark.parametrize(
    ("recipe", "conventional", "over", "expected"),
    [
        ("vae", "dynamic", {}, ("dynamic", "bernoulli")),
        ("beta-vae", "dynamic", {}, ("dynamic", "bernoulli")),
        ("vae", "none", {}, ("none", "normal")),
        ("sigma-vae", "dynamic", {}, ("none", "normal")),
        ("vae", "dynamic", {"data": {"binarize": "none"}}, ("none", "normal")),
        ("vae", "none", {"data": {"binarize": "threshold"}}, ("threshold", "bernoulli")),
        ("vae", "none", {"model": {"likelihood": "bernoulli"}}, ("dynamic", "bernoulli")),
        ("vae", "dynamic", {"model": {"likelihood": "laplace"}}, ("none", "laplace")),
        ("vae", "dynamic", {"model": {"likelihood": {"kind": "categorical"}}}, ("none", "categorical")),
    ],
)
def test_binarisation(recipe: str, conventional: str, over: dict[str, Any], expected: tuple[str, str]) -> None:
    config = resolve(recipe, grey(conventional), over)
    assert config.model is not None
    assert (config.data.binarize, config.model.likelihood.kind) == expected


def test_data_that_are_binarised_stay_so() -> None:
    """Someone who loads data binarised gets a model of binary data."""
    data = grey().binarized("threshold")
    config, prepared = prepare("vae", {}, data)
    assert config.model is not None
    assert (config.data.binarize, config.model.likelihood.kind) == ("threshold", "bernoulli")
    assert prepared.spec.binarize == "threshold"
    assert type(build("vae", data).likelihood).__name__ == "BernoulliLikelihood"


def test_real_data_cannot_be_binarised() -> None:
    with pytest.raises(DataError, match=r"needs values in .0, 1."):
        prepare("vae", {"data": {"binarize": "dynamic"}}, tiny_data("real", (4,)))


@pytest.mark.parametrize(
    ("count", "batch_size", "epochs"), [(60_000, 128, 20), (1400, 128, 300), (12_800, 128, 40), (1, 1, 300)]
)
def test_default_epochs(count: int, batch_size: int, epochs: int) -> None:
    assert default_epochs(count, batch_size) == epochs


def test_length_is_filled_in_only_where_nobody_says_it() -> None:
    assert resolve("vae", grey()).train.epochs == 300
    assert resolve("vae", grey(), {"train": {"epochs": 2}}).train.epochs == 2
    minutes = resolve("vae", grey(), {"train": {"max_minutes": 2.0}}).train
    assert (minutes.epochs, minutes.max_minutes) == (None, 2.0)


def test_a_resolved_configuration_says_everything() -> None:
    """Parsed again it is the same, whatever the defaults of the recipe become."""
    config = resolve("dae", grey(), {"model": {"latent_dim": 3}, "seed": 9})
    again = parse_config(config.model_dump(mode="json"))
    assert again == config
    assert (again.seed, again.recipe) == (9, "dae")


@pytest.mark.parametrize(("setting", "value"), [("latent_dimm", 3), ("likelihood", "bernouli"), ("latent_dim", "many")])
def test_build_refuses_misspelt_settings(setting: str, value: Any) -> None:
    with pytest.raises(ConfigError):
        build("vae", grey(), **{setting: value})


def test_weight_decay_belongs_to_its_optimiser() -> None:
    """Who asks for another optimiser does not get the decay that was meant for AdamW."""
    images = tiny_data("binary", (1, 28, 28))
    ours = resolve("vae", images).train
    assert (ours.optimizer, ours.weight_decay) == ("adamw", 0.025)
    assert resolve("vae", images, {"train": {"optimizer": "adam"}}).train.weight_decay == 0
    assert resolve("vae", images, {"train": {"optimizer": "adam", "weight_decay": 0.1}}).train.weight_decay == 0.1
    assert resolve("vae", images, {"train": {"weight_decay": 0.1}}).train.optimizer == "adamw"
    assert resolve("ae", images).train.optimizer == "adam"
