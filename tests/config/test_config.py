"""Typed settings: YAML and back, and every fault in one clear line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import yaml

from reparam.composing import build_model, build_part, describe
from reparam.config import DataConfig, merged, parse_config, read_yaml
from reparam.errors import ConfigError, PartError, UnknownNameError
from reparam.model_config import FlatConfig, HierarchicalConfig, Part, checked_part
from reparam.models import HierarchicalVAE
from reparam.networks import Encoder
from reparam.parts import PARTS, WRAPPER, WRAPPERS, constructor, settings_of
from reparam.training import TrainSettings
from tests.contracts.members import tiny_spec

MODEL: dict[str, Any] = {
    "encoder": "mlp",
    "posterior": "normal",
    "prior": "normal",
    "decoder": {"kind": "mlp", "hidden_dims": [5, 6], "layer": "gated"},
    "likelihood": {"kind": "normal", "scale": "learned"},
}


def whole(**over: Any) -> dict[str, Any]:
    values = {
        "recipe": "vae",
        "data": {"source": "digits"},
        "model": MODEL,
        "objective": "elbo",
        "train": {"epochs": 3},
    }
    return values | over


def fault(values: dict[str, Any], origin: str = "my.yaml") -> str:
    with pytest.raises(ConfigError) as raised:
        parse_config(values, origin)
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_yaml_and_back() -> None:
    config = parse_config(whole(seed=5, train={"max_minutes": 2.5, "betas": [0.8, 0.9]}))
    text = config.to_yaml()
    again = parse_config(yaml.safe_load(text))
    assert again == config
    assert again.to_yaml() == text
    assert list(yaml.safe_load(text)) == ["recipe", "data", "model", "objective", "train", "seed"]


WORDS = [
    (section, name, word)
    for section, owner in (("data", DataConfig), ("train", TrainSettings))
    for name, hint in get_type_hints(owner).items()
    if get_origin(hint) is Literal
    for word in get_args(hint)
]


@pytest.mark.parametrize(("section", "name", "word"), WORDS)
def test_every_word_of_a_choice_may_be_written_bare(section: str, name: str, word: str) -> None:
    """Also ``on`` and ``off``, which YAML reads as true and false."""
    given = yaml.safe_load(f"{section}: {{{name}: {word}}}")
    assert getattr(getattr(parse_config(whole(**given)), section), name) == word


def test_a_name_stands_for_a_kind() -> None:
    assert parse_config(whole()).model == parse_config(whole(model=MODEL | {"encoder": {"kind": "mlp"}})).model
    assert parse_config(whole(objective={"kind": "elbo"})) == parse_config(whole())


def test_a_name_stands_for_a_tuple_of_one() -> None:
    model = parse_config(whole(model=MODEL | {"condition": "classes", "condition_into": "decoder"})).model
    assert model.condition_into == ("decoder",)  # type: ignore[union-attr]
    assert parse_config(whole(data={"source": "digits", "observations": "x"})).data.observations == ("x",)


def test_every_setting_of_every_part_is_kept() -> None:
    decoder = parse_config(whole()).model.decoder  # type: ignore[union-attr]
    assert (decoder.kind, decoder.settings) == ("mlp", {"hidden_dims": [5, 6], "layer": "gated"})


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"recip": 1}, "my.yaml: recip: there is no such key. Did you mean 'recipe'?"),
        ({"data": {"sorce": "x"}}, "my.yaml: data.sorce: there is no such key. Did you mean 'source'?"),
        ({"train": {"batchsize": 3}}, "my.yaml: train.batchsize: there is no such key. Did you mean 'batch_size'?"),
        ({"model": MODEL | {"latent": 3}}, "my.yaml: model.latent: there is no such key. Did you mean 'latent_dim'?"),
        (
            {"model": MODEL | {"prior": "norml"}},
            "my.yaml: model.prior: there is no prior 'norml'. Did you mean 'normal'?",
        ),
        (
            {"model": MODEL | {"encoder": {"kind": "mlp", "hidden_dim": [3]}}},
            "my.yaml: model.encoder: mlp has no setting 'hidden_dim'. Did you mean 'hidden_dims'?",
        ),
        (
            {"model": MODEL | {"posterior": {"kind": "normal", "x": 1}}},
            "my.yaml: model.posterior: normal has no setting 'x'.",
        ),
        (
            {"objective": {"kind": "elbo", "bta": 1}},
            "my.yaml: objective: elbo has no setting 'bta'. Did you mean 'beta'?",
        ),
        ({"train": {"batch_size": 0}}, "my.yaml: train.batch_size: input should be greater than or equal to 1 (got 0)"),
        ({"train": {"schedule": "cos"}}, "'constant', 'cosine' or 'plateau' (got 'cos')"),
        ({"train": {"ema": 1.0}}, "my.yaml: train.ema: input should be less than 1 (got 1.0)"),
        ({"seed": "x"}, "my.yaml: seed: input should be a valid integer"),
        ({"data": {"validation": 0}}, "my.yaml: data.validation: input should be greater than 0 (got 0)"),
        ({"data": {"binarize": "dynamc"}}, "my.yaml: data.binarize: input should be 'none', 'dynamic' or 'threshold'"),
        ({"model": MODEL | {"latent_dim": 0}}, "my.yaml: model.latent_dim: input should be greater than or equal to 1"),
        ({"model": MODEL | {"kl": "closd"}}, "my.yaml: model.kl: input should be 'auto', 'closed' or 'sampled'"),
        ({"model": MODEL | {"likelihood": {"kind": "normal", "scale": [1]}}}, "my.yaml: model.likelihood: scale: "),
        ({"model": "conv"}, "my.yaml: model: "),
        ({"data": None}, "my.yaml: data: "),
    ],
)
def test_one_clear_line(over: dict[str, Any], expected: str) -> None:
    found = fault(whole(**over))
    assert expected in found
    assert "\n" not in found


def choices(hint: Any) -> list[str]:
    """The words that a type knows."""
    if get_origin(hint) is Literal:
        return [word for word in get_args(hint) if isinstance(word, str)]
    return [word for one in get_args(hint) for word in choices(one)]


MISSPELT = [
    pytest.param(section, kind, name, word, get_origin(hint) is Sequence, id=f"{section}-{kind}-{name}")
    for section, kinds in PARTS.items()
    if section != "model"
    for kind in kinds
    if kind not in WRAPPERS
    for name, setting in settings_of(section, kind).items()
    for hint in [setting.annotation]
    for word in choices(hint)[:1]
]


@pytest.mark.parametrize(("section", "kind", "name", "word", "several"), MISSPELT)
def test_a_misspelt_word_of_every_part_names_the_nearest(
    section: str, kind: str, name: str, word: str, several: bool
) -> None:
    wrong = f"{word}x"
    with pytest.raises(ValueError, match=rf"^{name}: .*\(got '{wrong}'\)\. Did you mean '{word}'\?$"):
        checked_part(section, {"kind": kind, name: [wrong] if several else wrong})


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (
            {"train": {"schedule": "cosin"}},
            "my.yaml: train.schedule: input should be 'constant', 'cosine' or 'plateau'",
        ),
        ({"data": {"axes": "NTX"}}, "(got 'NTX'). Did you mean 'NTC'?"),
        ({"model": MODEL | {"kl": "closd"}}, "(got 'closd'). Did you mean 'closed'?"),
        ({"train": {"compile": "xyz"}}, "'auto', 'on' or 'off' (got 'xyz')"),  # near nothing: what there is is said
    ],
)
def test_a_misspelt_word_of_other_settings(over: dict[str, Any], said: str) -> None:
    found = fault(whole(**over))
    assert said in found
    assert ("Did you mean" in found) == ("xyz" not in found)


def test_all_faults_at_once() -> None:
    values = whole(sed=1, train={"batch_size": -1, "epoch": 2}, objective="elb", model=MODEL | {"prior": {"kind": "x"}})
    lines = fault(values).splitlines()
    keys = [line.split(": ")[1] for line in lines]
    assert sorted(keys) == ["model.prior", "objective", "sed", "train.batch_size", "train.epoch"]


@pytest.mark.parametrize("section", ["encoder", "likelihood", "corruption"])
def test_the_wrapper_is_not_a_kind_to_ask_for(section: str) -> None:
    """It is put on by the build, in the units of the data."""
    assert WRAPPER in PARTS[section]
    found = fault(whole(model=MODEL | {section: WRAPPER}))
    assert f"there is no {section} 'standardized'. There are: " in found
    assert WRAPPER not in found.split("There are: ")[1]


STEPS = {"kind": "sequential", "encoder": "mlp", "dynamics": "recurrent", "decoder": "mlp", "likelihood": "bernoulli"}
DEEP: dict[str, Any] = {
    "kind": "hierarchical",
    "hierarchy": {"kind": "mlp", "latent_dims": [2, 3], "hidden_dims": [4]},
    "likelihood": "normal",
}


class TestKindsOfModels:
    def test_the_kind_chooses_the_fields(self) -> None:
        found = parse_config(whole(model=DEEP)).model
        assert isinstance(found, HierarchicalConfig)
        assert (found.network.kind, found.top.kind, found.spectral) == ("mlp", "normal", 0.0)
        assert isinstance(parse_config(whole()).model, FlatConfig)
        assert parse_config(whole(model=MODEL | {"kind": "flat"})) == parse_config(whole())

    def test_yaml_and_back(self) -> None:
        config = parse_config(whole(model=DEEP | {"top": {"kind": "laplace"}, "spectral": 0.5}))
        assert parse_config(yaml.safe_load(config.to_yaml())) == config
        assert next(iter(yaml.safe_load(config.to_yaml())["model"])) == "kind"

    @pytest.mark.parametrize(
        ("model", "expected"),
        [
            (MODEL | {"kind": "flaat"}, "my.yaml: model.kind: there is no model 'flaat'. Did you mean 'flat'?"),
            (
                MODEL | {"kind": 3},
                "my.yaml: model.kind: there is no model 3. There are: flat, grouped, hierarchical, hybrid, "
                "implicit, multimodal, semi-supervised, sequential.",
            ),
            (DEEP | {"topp": 1}, "my.yaml: model.topp: there is no such key. Did you mean 'top'?"),
            (DEEP | {"encoder": "mlp"}, "my.yaml: model.encoder: there is no such key. There are: condition, cond"),
            (
                STEPS | {"condition": "classes"},
                "my.yaml: model.condition: there is no such key. Models of kind sequential take no condition; those "
                "of kind flat, hierarchical, semi-supervised, implicit do.",
            ),
            (MODEL | {"flat": 1}, "my.yaml: model.flat: there is no such key. "),
            (
                MODEL | {"condition_into": "decoder"},
                "my.yaml: model.condition_into: there is no condition that could go into them. Set model.condition",
            ),
            (DEEP | {"spectral": -1}, "my.yaml: model.spectral: input should be greater than or equal to 0 (got -1)"),
            (DEEP | {"top": "nomal"}, "my.yaml: model.top: there is no prior 'nomal'. Did you mean 'normal'?"),
            (
                DEEP | {"hierarchy": {"kind": "conv", "depht": 2}},
                "my.yaml: model.hierarchy: conv has no setting 'depht'. Did you mean 'depth'?",
            ),
            (DEEP | {"hierarchy": {"kind": "conv", "skip": "perhaps"}}, "my.yaml: model.hierarchy: skip: "),
            ({"kind": "hierarchical", "likelihood": "normal"}, "my.yaml: model.hierarchy: field required"),
            ([1], "my.yaml: model: "),
        ],
    )
    def test_one_clear_line(self, model: Any, expected: str) -> None:
        found = fault(whole(model=model))
        assert found.startswith(expected)
        assert "\n" not in found

    @pytest.mark.parametrize("depth", ["1x1,4x2", ["1x1", "4x2"], [[1, 1], [4, 2]], 2])
    def test_the_depth_is_plain_data(self, depth: Any) -> None:
        deep = DEEP | {"hierarchy": {"kind": "conv", "depth": depth, "channels": 2}}
        config = parse_config(whole(model=deep))
        assert parse_config(yaml.safe_load(config.to_yaml())) == config
        assert config.model is not None
        built = build_model(config.model, tiny_spec("unit", (1, 8, 8)))
        assert isinstance(built, HierarchicalVAE)
        assert built.hierarchy.depth in ("1x1,4x2", "1x1,4x2,8x2")  # type: ignore[union-attr]

    def test_real_data_are_standardised(self) -> None:
        config = parse_config(whole(model=DEEP | {"corruption": "mask"})).model
        assert config is not None
        built = build_model(config, tiny_spec("real", (4,)))
        assert isinstance(built, HierarchicalVAE)
        parts = (built.hierarchy, built.likelihood, built.corruption)
        assert {type(part).__name__ for part in parts} == {
            "StandardizedHierarchy",
            "StandardizedLikelihood",
            "StandardizedCorruption",
        }
        assert built.hierarchy.shift == tiny_spec("real", (4,)).shift  # type: ignore[union-attr]

    def test_another_kind_takes_no_settings_over(self) -> None:
        assert merged({"model": MODEL | {"kind": "flat"}}, {"model": DEEP}) == {"model": DEEP}


def test_merge() -> None:
    base = {"a": {"kind": "x", "n": 1}, "b": {"c": 1, "d": {"e": 2}}, "f": None, "g": {"kind": "x"}}
    over = {"a": {"m": 2}, "b": {"d": {"e": 3, "h": 4}}, "f": {"kind": "y"}, "i": 5}
    assert merged(base, over) == {
        "a": {"kind": "x", "n": 1, "m": 2},
        "b": {"c": 1, "d": {"e": 3, "h": 4}},
        "f": {"kind": "y"},
        "g": {"kind": "x"},
        "i": 5,
    }
    assert base["b"] == {"c": 1, "d": {"e": 2}}


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"kind": "x", "m": 2}, {"kind": "x", "n": 1, "m": 2}),
        ({"kind": "y", "m": 2}, {"kind": "y", "m": 2}),
        ("x", {"kind": "x", "n": 1}),
        ("y", {"kind": "y"}),
        (None, None),
        ({"n": 7}, {"kind": "x", "n": 7}),
    ],
)
def test_a_part_of_another_kind_takes_no_settings_over(over: Any, expected: Any) -> None:
    assert merged({"a": {"kind": "x", "n": 1}}, {"a": over}) == {"a": expected}


def test_a_name_in_the_file_keeps_its_kind_under_a_setting() -> None:
    assert merged({"a": "x"}, {"a": {"n": 7}}) == {"a": {"kind": "x", "n": 7}}


class TestYaml:
    def test_reads_a_mapping(self, tmp_path: Path) -> None:
        path = tmp_path / "c.yaml"
        path.write_text("train:\n  epochs: 3\n")
        assert read_yaml(path) == {"train": {"epochs": 3}}
        path.write_text("")
        assert read_yaml(path) == {}

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"a: [1", "is not YAML"),
            (b"- 1\n- 2\n", "expected sections such as 'train:' at the top level .got list"),
            (b"\xff\xfe\x00", "c.yaml: "),
            (b"a: !!python/object/apply:os.getcwd []", "is not YAML"),
        ],
    )
    def test_refuses_anything_else(self, tmp_path: Path, content: bytes, sentence: str) -> None:
        path = tmp_path / "c.yaml"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=sentence) as raised:
            read_yaml(path)
        assert "\n" not in str(raised.value)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            read_yaml(tmp_path / "nothing.yaml")


class TestBuild:
    def test_unknown_kind_names_the_nearest(self) -> None:
        with pytest.raises(UnknownNameError, match=r"There is no decoder 'mpl'. Did you mean 'mlp'"):
            constructor("decoder", "mpl")

    def test_settings_leave_out_what_the_build_fills_in(self) -> None:
        assert list(settings_of("encoder", "mlp")) == ["hidden_dims", "layer"]
        assert list(settings_of("posterior", "normal")) == ["grid"]
        assert list(settings_of("likelihood", "discretized-logistic")) == ["levels", "components"]

    def test_levels_come_from_the_data(self) -> None:
        config = parse_config(whole(model=MODEL | {"likelihood": "categorical"})).model
        assert config is not None
        likelihood = build_model(config, tiny_spec("levels", (1, 3, 3))).likelihood
        assert likelihood.levels == 17

    def test_a_setting_goes_before_the_context(self) -> None:
        part = Part.model_validate({"kind": "categorical", "levels": 5})
        assert build_part("likelihood", part, {"data_shape": (3,), "levels": 17}).levels == 5

    def test_a_part_that_is_not_in_the_table_cannot_be_described(self) -> None:
        class Mine(Encoder):
            def features(self, x: Any) -> Any:
                return x

        with pytest.raises(PartError, match="Mine is defined inside a function, where nobody finds it again"):
            describe(Mine((3,), 3), "encoder")
