"""The table of metrics: every one answers or says why it cannot, on real models."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reparam.data import Data, DataSpec, Split, StreamedSplit, load_data
from reparam.errors import MissingExtraError, RefusedError
from reparam.evaluation import METRICS, evaluate, fixing
from reparam.evaluation import features as feature_module
from reparam.evaluation.metrics import is_of
from reparam.networks import instances
from reparam.recipes import build
from reparam.rng import reseed
from reparam.shapes import numel
from tests.contracts.members import tiny_data

KEYS = {
    "collapse": {"mutual_information", "mutual_information_most", "aggregate_kl", "collapse_n"},
    "fid": {"fid", "fid_n", "feature_network"},
    "recon-fid": {"recon_fid", "recon_fid_n", "feature_network"},
    "perceptual-distance": {"perceptual_distance", "perceptual_network"},
    "kid": {"kid", "kid_std"},
    "precision-recall": {"precision", "recall"},
    "inception-score": {"inception_score"},
    "sharpness": {"sharpness", "sharpness_reconstructed"},
    "continuity": {"continuity_median", "continuity_p95", "continuity_jump"},
    "completeness": {"completeness", "completeness_n"},
    "ppc": {"ppc_mean_p", "ppc_variance_p", "ppc_neighbours_p", "ppc_n"},
    "probe": {"probe_accuracy", "knn_accuracy"},
    "nmi": {"nmi"},
    "mig": {"mig", "mig_per_factor"},
    "sampled-mig": {"sampled_mig", "sampled_mig_per_factor", "sampled_mig_n"},
    "dci": {"dci_disentanglement", "dci_completeness", "dci_informativeness"},
    "sap": {"sap"},
    "factor-vae": {"factor_vae_score"},
    "beta-vae": {"beta_vae_score"},
    "modularity": {"modularity"},
    "explicitness": {"explicitness"},
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of its own, a feature network of a few steps, and few votes."""
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path))
    monkeypatch.setattr(feature_module, "STEPS", 10)
    monkeypatch.setattr(instances, "STEPS", 3)
    monkeypatch.delenv("REPARAM_DATA", raising=False)
    monkeypatch.setattr(fixing, "FITTED", 600)
    monkeypatch.setattr(fixing, "SCORED", 300)


def with_factors(data: Data) -> Data:
    """Two factors of two and three values beside the labels."""

    def more(split: Split) -> Split:
        numbers = torch.arange(len(split))
        factors = torch.stack([numbers % 2, numbers % 3, torch.zeros_like(numbers)], 1)
        return Split(split.stored, split.spec, {**split.named, "factors": factors})

    return Data(more(data.train), more(data.validation), more(data.test))


def pictures() -> Data:
    return with_factors(tiny_data("binary", (1, 8, 8), (60, 8, 40)))


def wide(data: Data) -> nn.Module:
    """A model whose codes vary, as those of a trained one do."""
    reseed(0)
    model = build("vae", data, latent_dim=4)
    with torch.no_grad():
        model.posterior.head.weight[:4] *= 30
    return model


def test_every_metric_has_its_keys() -> None:
    data = pictures()
    found = evaluate(wide(data), data.test, METRICS, train=data.train, samples=5)
    refused = [key for key in found if key.endswith("_refused")]
    told_no_class = {"class_diversity_refused", "class_accuracy_refused"}
    assert set(refused) == told_no_class | {"filtered_refused", "imputation_refused"}  # without steps, one observation
    others = {"elbo", "reconstruction", "nll", "filtered", "imputation", "class-accuracy", "class-diversity"}
    assert set(KEYS) | others == set(METRICS)
    for keys in KEYS.values():
        assert keys <= found.keys()
    assert found["feature_network"].startswith("conv-64 classifier of tiny (3 classes), ")
    assert found["fid_n"] == 40
    assert found["mig_per_factor"][2] is None  # the third factor does not vary
    assert None not in found["mig_per_factor"][:2]
    shared = {"n", "seed", "feature_network", "samples"}
    assert {key for key in found if not is_of(key, METRICS)} == shared  # each number is of a metric
    assert not [key for key in found if is_of(key, ["fid"]) and not key.startswith("fid")]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("name", sorted(KEYS))
def test_a_metric_repeats_and_leaves_the_generator_alone(name: str) -> None:
    data = pictures()
    model, before = wide(data), torch.get_rng_state()
    first = evaluate(model, data.test, [name], train=data.train, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert evaluate(model, data.test, [name], train=data.train, seed=2) == first
    assert KEYS[name] <= first.keys()


def test_a_plain_autoencoder_has_codes_but_no_prior() -> None:
    data = pictures()
    model = build("ae", data, latent_dim=3)
    found = evaluate(model, data.test, METRICS, train=data.train, samples=2)
    refused = {key.removesuffix("_refused") for key in found if key.endswith("_refused")}
    prior = {"nll", "collapse", "fid", "kid", "precision_recall", "inception_score", "completeness", "ppc"}
    prior |= {"class_accuracy", "class_diversity", "imputation", "sharpness", "filtered", "sampled_mig"}
    assert prior <= refused <= prior | {"factor_vae"}  # its codes may hardly vary
    assert {"recon_fid", "mig", "probe_accuracy", "continuity_median", "sharpness_reconstructed"} <= found.keys()


def test_without_labels_the_reason_is_given() -> None:
    data = tiny_data("real", (4,))
    bare = Split(data.test.stored, data.test.spec)
    found = evaluate(
        build("vae", data), bare, ["mig", "probe", "fid", "inception-score"], train=data.train.take(torch.arange(9))
    )
    assert "these data have none" in found["mig_refused"]
    assert "fid" in found
    with pytest.raises(RefusedError, match="have none"):
        evaluate(build("vae", data), bare, ["mig"])
    unlabelled = Split(data.train.stored, data.train.spec)
    found = evaluate(build("vae", data), bare, ["fid", "inception-score"], train=unlabelled)
    assert found["feature_network"] == "mlp-64 random, for tiny"
    assert "no labels" in found["inception_score_refused"]


def test_a_metric_that_needs_training_data_says_so() -> None:
    data = pictures()
    for name in ("probe", "fid", "completeness"):
        with pytest.raises(RefusedError, match=r"training split .* train=data\.train"):
            evaluate(wide(data), data.test, [name])


def test_nothing_is_imputed_from_one_observation() -> None:
    arrays = {f"{name}_{part}": torch.rand(4, 2) for name in "ab" for part in ("train", "validation", "test")}
    data = load_data(arrays, observations=("a", "b"))
    alone = data.test.stored.clone()
    alone[:, 2:] = torch.nan
    with pytest.raises(RefusedError, match="No example has two observations"):
        evaluate(build("mvae", data), Split(alone, data.spec), "imputation")


def test_a_factor_that_never_varies_is_no_factor() -> None:
    x = torch.zeros(10, 4)
    split = Split(x, DataSpec("still", (4,), "real"), {"labels": torch.ones(10, dtype=torch.int64)})
    with pytest.raises(RefusedError, match="one value"):
        evaluate(build("vae", tiny_data("real", (4,))), split, ["mig"])


def test_samples_of_binary_data_are_draws() -> None:
    """A decoder that gives each pixel its share in the data is perfect where pixels are independent."""
    x = torch.rand(400, 6, generator=torch.Generator().manual_seed(0)).lt(0.3).float()
    split = Split(x, DataSpec("coins", (6,), "binary"))
    model = build("vae", Data(split, split, split), latent_dim=2, network={"kind": "mlp", "hidden_dims": (4,)})
    with torch.no_grad():
        for weights in model.decoder.parameters():
            weights.zero_()
        list(model.decoder.parameters())[-1].fill_(torch.tensor(0.3).logit())
    found = evaluate(model, split, ["fid", "completeness"], train=split, features=nn.Flatten())
    assert found["samples"] == "draws"
    assert found["fid"] < 0.1  # means would lie at one point: 6 values of variance 0.21 apart
    real = tiny_data("real", (4,))
    assert evaluate(build("vae", real), real.test, "fid", features=nn.Flatten())["samples"] == "means"


class Corner(nn.Module):
    """Features of one's own: the first two values."""

    name = "corner"

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :2]


def test_features_of_ones_own() -> None:
    data = pictures()
    found = evaluate(wide(data), data.test, ["fid", "precision-recall", "inception-score"], features=Corner())
    assert found["feature_network"] == "corner"
    assert found["fid"] >= 0
    assert "classifier" in found["inception_score_refused"]


def test_a_dynamic_split_is_drawn_once() -> None:
    data = with_factors(tiny_data("unit", (1, 8, 8), (30, 8, 30))).binarized("dynamic")
    model = wide(data)
    first, second = (evaluate(model, data.test, ["fid", "mig", "probe"], train=data.train) for _ in range(2))
    assert first == second


def test_one_example_is_answered_or_refused() -> None:
    data = pictures()
    one = data.test.take(torch.tensor([3]))
    found = evaluate(wide(data), one, METRICS, train=data.train, samples=2)
    refused = {key.removesuffix("_refused") for key in found if key.endswith("_refused")}
    assert {"fid", "kid", "precision_recall", "inception_score", "continuity", "mig", "dci", "beta_vae"} <= refused
    assert found["mutual_information"] == pytest.approx(0, abs=1e-12)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_streamed_data_are_judged_too(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (90, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    data = load_data(tmp_path / "x.npy", stream=True)
    assert isinstance(data.test, StreamedSplit)
    names = ["fid", "precision-recall", "collapse", "continuity", "completeness", "ppc"]
    found = evaluate(wide(data), data.test, names, train=data.train)
    assert not [key for key in found if key.endswith("_refused")]
    assert found["feature_network"] == "conv-64 random, for x"


def test_a_missing_extra_is_said_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reparam.evaluation.metrics.find_spec", lambda name: None)
    monkeypatch.setattr("reparam.evaluation.measures.nll", lambda judged: pytest.fail("it was measured"))
    data = pictures()
    with pytest.raises(MissingExtraError, match="The metric fid needs torchmetrics"):
        evaluate(wide(data), data.test, ["nll", "fid"], train=data.train)


def test_features_are_those_of_evaluation() -> None:
    """A caller's network keeps its running statistics and its mode."""
    data = pictures()
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(numel(data.spec.shape), affine=False))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluate(wide(data), data.test, ["precision-recall"], train=data.train, features=network)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
