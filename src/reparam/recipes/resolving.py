"""From a recipe, the data and the user's settings to a full configuration."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from reparam.arguments import checked
from reparam.composing import build_model, describe
from reparam.config import Config, merged, parse_config, with_networks
from reparam.data import Data, load_data
from reparam.data.spec import Binarize
from reparam.errors import DataError, PartError
from reparam.model_config import AnyModel
from reparam.models import Autoencoder
from reparam.parts import constructor, settings_of
from reparam.recipes.building import DECAY, Values
from reparam.recipes.table import BY_HAND, require_recipe
from reparam.trust import trusted, trusting

STEPS = 4000
MOST_EPOCHS = 300
LEARNING_RATES = {"conv": 4e-3, "mlp": 2e-3}
LENGTHS = ("epochs", "max_minutes")  # of one training alone


def _section(over: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of the user's settings; empty where it is no mapping, which parse_config reports with the rest."""
    section = over.get(name)
    return section if isinstance(section, Mapping) else {}


def binarization(name: str, data: Data, over: Mapping[str, Any]) -> Binarize:
    """How the data are made binary: as told, as they are, as the likelihood needs it, or as in the literature."""
    spec = data.spec
    told = _section(over, "data").get("binarize")
    if told is not None:
        return told
    if spec.binarize != "none":
        return spec.binarize
    chosen = _section(over, "model").get("likelihood")
    kind = chosen.get("kind") if isinstance(chosen, Mapping) else chosen
    if spec.kind == "binary" or not spec.in_unit_interval:
        return "none"
    if kind is not None:
        return "dynamic" if kind == "bernoulli" else "none"
    conventional = spec.conventional_binarize
    likelihood = require_recipe(name)(data.binarized(conventional).spec)["model"].get("likelihood", {})
    return conventional if likelihood.get("kind") == "bernoulli" else "none"


def default_epochs(count: int, batch_size: int) -> int:
    """Epochs when nobody says how long: about 4,000 steps, from 20 to 300 epochs."""
    return max(20, min(MOST_EPOCHS, math.ceil(STEPS / max(1, count // batch_size))))


def resolve(name: str, data: Data, over: Mapping[str, Any] | None = None, origin: str = "settings") -> Config:
    """The full configuration of a recipe for these data, with the user's settings laid over it.

    Args:
        name: A recipe.
        data: What it will be trained on.
        over: Settings by section, as in ``config.yaml``.
        origin: Where they came from, for error messages.
    Raises:
        UnknownNameError: if there is no such recipe.
        ConfigError: if a setting is unknown or has a wrong value.
    """
    recipe = require_recipe(name)
    over = with_networks(over or {})
    binarize = binarization(name, data, over)
    base = recipe(data.binarized(binarize).spec)
    if "encoder" not in base["model"] and isinstance(over.get("model"), Mapping):  # model.network is the decoder alone
        model = dict(over["model"])
        if "decoder" in base["model"] and model.get("encoder") == model.get("decoder"):
            model.pop("encoder", None)
        over = {**over, "model": model}
    base = {"train": {}} | base | {"recipe": name, "data": {"binarize": binarize}, "seed": 0}
    base["train"] = decayed(base["train"], _section(over, "train"))
    values = merged(base, over)
    config = parse_config(values, origin)
    values = merged(values, _flow_of_densities(config.model))
    defaults: Values = {}
    if config.model is not None:
        defaults["learning_rate"] = LEARNING_RATES.get(config.model.network.kind, LEARNING_RATES["mlp"])
    if config.train.epochs is None and config.train.max_minutes is None:
        defaults["epochs"] = default_epochs(len(data.train), config.train.batch_size)
    return parse_config(values | {"train": defaults | dict(values.get("train", {}))}, origin)


def decayed(train: Mapping[str, Any], told: Mapping[str, Any]) -> Values:
    """Settings of a training that others are laid over: less the decay that belongs to another optimiser."""
    other = "optimizer" in told and "weight_decay" not in told
    return {name: value for name, value in train.items() if not (other and name in DECAY)}


def _flow_of_densities(model: AnyModel | None) -> Values:
    """The settings of a flow q(z|x) whose density the prior asks for at codes of others: one pass gives it."""
    posterior, prior = getattr(model, "posterior", None), getattr(model, "prior", None)
    if posterior is None or prior is None or "direction" in posterior.settings:
        return {}
    of_posteriors = getattr(constructor("prior", prior.kind), "space", prior) is None
    if not of_posteriors or "direction" not in settings_of("posterior", posterior.kind):
        return {}
    return {"model": {"posterior": {"kind": posterior.kind, "direction": "density"}}}


@dataclass(frozen=True)
class Built:
    """How a model was made, and how :func:`reparam.fit` trains it where nobody says otherwise.

    Attributes:
        recipe: The name of its recipe.
        objective: The objective by its kind and settings.
        train: Settings of the training, less how long it takes.
        parts: The model as it was made, by kinds and arguments; None where nobody could make it again from those.
        trust_code: Whether code of the user's own was trusted.
    """

    recipe: str
    objective: Mapping[str, Any]
    train: Mapping[str, Any]
    parts: Mapping[str, Any] | None
    trust_code: bool = False

    @classmethod
    def of(cls, config: Config, parts: Mapping[str, Any] | None) -> "Built":
        """That of a configuration with an objective."""
        assert config.objective is not None
        train = {name: value for name, value in asdict(config.train).items() if name not in LENGTHS}
        return cls(config.recipe, config.objective.model_dump(mode="json"), train, parts, trusted())

    @classmethod
    def read(cls, values: Mapping[str, Any], parts: Mapping[str, Any] | None) -> "Built":
        """That of a model that was written down, see :meth:`written`."""
        found: Built = TypeAdapter(cls).validate_python({**values, "parts": parts, "trust_code": trusted()})
        return found

    def recipe_of(self, parts: Mapping[str, Any] | None) -> str:
        """The name of the recipe; another one where the model's parts are no longer those it was made of."""
        return self.recipe if parts is not None and parts == self.parts else BY_HAND

    def written(self, parts: Mapping[str, Any] | None) -> Values:
        """What is kept of it beside a model of these parts."""
        return {"recipe": self.recipe_of(parts), "objective": dict(self.objective), "train": dict(self.train)}


def parts_of(model: Autoencoder) -> Mapping[str, Any] | None:
    """A model by kinds and arguments; None where nobody could make it again from those."""
    try:
        return describe(model, "model")
    except PartError:
        return None


@checked
def build(name: str, data: Any, *, trust_code: bool = False, **settings: Any) -> Autoencoder:
    """A model by the name of its recipe, for these data.

    It knows its recipe, so that :func:`reparam.fit` trains it by that recipe's objective and settings, where nobody
    gives others. First weights are drawn from torch's generator: ``torch.manual_seed`` repeats them.

    Args:
        name: A recipe.
        data: Gives the shape and kind of x: Data, or anything :func:`~reparam.load_data` reads.
        trust_code: Whether parts that do not come with reparam may be imported, where a kind is their import path,
            ``package.module:Class``.
        **settings: Settings of the ``model`` section, such as ``latent_dim=32``.
    Raises:
        DataError: if the data cannot be read.
        UnknownNameError: if there is no such recipe.
        ConfigError: if a setting is unknown or has a wrong value.
    """
    require_recipe(name)
    if isinstance(data, tuple) and data and all(type(one) is int for one in data):
        raise DataError(f"build: {data} are numbers, not data. For a shape give an example: torch.zeros(1, *{data}).")
    data = load_data(data)
    with trusting(trust_code):
        config = resolve(name, data, {"model": settings})
        assert config.model is not None
        model = build_model(config.model, data.binarized(config.data.binarize).spec)
        model.built = Built.of(config, parts_of(model))
    return model
