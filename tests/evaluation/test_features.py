"""The feature network: trained once for data and seed, kept, and named."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from reparam.data import DataSpec, Split
from reparam.errors import DataNotFoundError, PartError, RefusedError, RunError, UnknownNameError
from reparam.evaluation import Features, evaluate, feature_network
from reparam.evaluation import features as module
from reparam.evaluation.features import named_network
from reparam.networks.imagenet import vgg
from reparam.recipes import build
from reparam.rng import generator, reseed
from reparam.trust import trusting
from tests.contracts.members import tiny_data, tiny_split


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path))
    return tmp_path / "feature-networks"


def stripes(count: int = 64) -> Split:
    """Pictures with lines across or upright: two classes."""
    x = torch.zeros(count, 1, 8, 8)
    x[::2, :, ::2] = 1
    x[1::2, :, :, ::2] = 1
    noisy = (x + 0.2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0))).clamp(max=1)
    return Split(noisy, DataSpec("stripes", (1, 8, 8), "unit"), {"labels": torch.arange(count) % 2})


def same(a: Features, b: Features) -> bool:
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_it_learns_the_classes(cache: Path) -> None:
    split = stripes()
    network = feature_network(split)
    (path,) = cache.iterdir()
    assert network.name == f"conv-64 classifier of stripes (2 classes), {path.stem[:6]}"
    x: Tensor = split.batch(slice(None)).x
    assert network(x).shape == (64, 64)
    assert network.head is not None
    assert torch.equal(network.head(network(x)).argmax(1), split.labels)
    assert network(x).var(0, correction=0).mean() == pytest.approx(1, abs=1e-4)  # float32
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_it_is_trained_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_rng_state()
    first = feature_network(stripes())
    assert torch.equal(torch.get_rng_state(), before)
    (path,) = cache.iterdir()
    monkeypatch.setattr(module, "_train", None)
    assert same(feature_network(stripes()), first)
    monkeypatch.undo()
    monkeypatch.setenv("REPARAM_CACHE", str(cache.parent))
    path.write_bytes(b"damaged")
    assert same(feature_network(stripes()), first)
    assert len(path.read_bytes()) > 1000
    other = feature_network(stripes(), seed=1)
    assert not same(other, first)
    assert len(list(cache.iterdir())) == 2
    feature_network(stripes(62))
    assert len(list(cache.iterdir())) == 3


def test_a_cache_that_cannot_be_written_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(module, "STEPS", 2)
    assert feature_network(stripes()).head is not None


def test_without_labels_it_is_random_and_says_so(cache: Path) -> None:
    pictures, table = stripes(), tiny_split("real", (4,), 20, 0)
    network = feature_network(Split(pictures.stored, pictures.spec))
    assert network.name == "conv-64 random, for stripes"
    assert network.head is None
    assert network(pictures.batch(slice(None)).x).var(0, correction=0).mean() == pytest.approx(1, abs=1e-4)
    assert same(network, feature_network(Split(pictures.stored, pictures.spec)))
    assert not cache.exists()
    assert feature_network(Split(table.stored, table.spec)).name == "mlp-64 random, for tiny"


def test_labels_that_teach_nothing_make_a_random_network(cache: Path) -> None:
    """All forgotten, or all that are known the same: the network is that of the whole split without labels."""
    split = stripes()
    bare = feature_network(Split(split.stored, split.spec))
    for labels in (torch.full((64,), -1), torch.where(torch.arange(64) < 9, 1, -1)):
        network = feature_network(Split(split.stored, split.spec, {"labels": labels}))
        assert network.head is None
        assert same(network, bare)
    assert not cache.exists()


def test_the_unit_leaves_the_classes_as_they_were() -> None:
    split = stripes()
    reseed(0)
    network, x = Features(split.spec, 3), split.batch(slice(None)).x
    before = network.head(network(x))
    network.settle(split)
    assert network.unit != 1
    assert torch.allclose(network.head(network(x)), before, atol=1e-5)  # float32


def test_real_data_are_standardised() -> None:
    split = tiny_split("real", (4,), 20, 0)
    near, far = (
        Features(DataSpec("tiny", (4,), "real", shift=(shift,) * 4, scale=(2.0,) * 4), 0) for shift in (0.0, 100.0)
    )
    far.load_state_dict(near.state_dict())
    x = split.batch(slice(None)).x
    assert torch.allclose(near(x), far(x + 100), atol=1e-4)  # float32 near 100


def drawn(shapes: Any, file: Any = None) -> dict[str, Any]:
    """Stands for the file of SqueezeNet: weights of these names and shapes, small and always the same."""
    return {
        name: (0.05 * torch.randn(shape, generator=generator("squeezenet", name))).numpy()
        for name, shape in shapes.items()
    }


def test_squeezenet_gives_the_mean_of_its_last_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "squeezenet_weights", drawn)
    split = tiny_split("unit", (3, 40, 36), 6, 0)
    network, x = named_network("squeezenet", split), split.batch(slice(None)).x
    assert network.name == "SqueezeNet 1.1 (ImageNet)"
    (last,) = network.network(x)  # type: ignore[operator,union-attr]
    assert last.shape[:2] == (6, 512)
    assert torch.allclose(network(x), last.mean((2, 3)))


def test_vgg16_comes_by_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {
        f"features.{key}": value for key, value in torch.nn.Sequential(*vgg((2, 2, 3, 3, 3))).state_dict().items()
    }
    default = SimpleNamespace(get_state_dict=lambda **given: weights)
    stand_in = SimpleNamespace(get_model_weights=lambda name: SimpleNamespace(DEFAULT=default))
    monkeypatch.setitem(sys.modules, "torchvision.models", stand_in)  # type: ignore[arg-type]
    split = tiny_split("levels", (1, 20, 20), 3, 0)
    network = named_network("vgg16", split)
    assert network.name == "VGG-16 (ImageNet, torchvision)"
    assert network(split.batch(slice(None)).x).shape == (3, 512)


def test_a_random_network_does_not_look_at_labels(cache: Path) -> None:
    split = stripes()
    bare = feature_network(Split(split.stored, split.spec))
    assert same(named_network("random", split), bare)  # type: ignore[arg-type]
    assert not cache.exists()
    assert named_network("auto", split).name.startswith("conv-64 classifier of stripes")  # type: ignore[union-attr,operator]


def test_a_network_of_ones_own_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from torch import nn\n\n\nclass Flat(nn.Flatten):\n    pass\n\n\nclass Sized(nn.Linear):\n"
    source += "    def __init__(self, data_shape):\n        super().__init__(data_shape[-1], 2)\n"
    source += "    def forward(self, x):\n        return [x]\n\n\nclass Greedy(nn.Linear):\n    pass\n"
    (tmp_path / "lookers.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    data = tiny_data("real", (4,))
    with pytest.raises(RunError, match="--trust-code"):
        named_network("lookers:Flat", data.train)
    with trusting():
        found = evaluate(build("vae", data), data.test, "precision-recall", features="lookers:Flat")
        assert found["feature_network"] == "lookers:Flat"
        with pytest.raises(PartError, match=r"lookers:Sized gave list for 8 examples, expected a tensor \(8, F\)"):
            evaluate(build("vae", data), data.test, "precision-recall", features="lookers:Sized")
        with pytest.raises(PartError, match=r"lookers:Greedy cannot be made .* is given nothing, or data_shape"):
            named_network("lookers:Greedy", data.train)
    sys.modules.pop("lookers")


def test_what_cannot_be_looked_at_is_said_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("REPARAM_DATA", raising=False)
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path))
    monkeypatch.setattr("reparam.evaluation.measures.elbo", lambda judged: pytest.fail("it was measured"))
    data, table = tiny_data("unit", (1, 4, 4)), tiny_data("real", (4,))
    for wrong in (data, table):
        with pytest.raises(PartError, match=r"features: squeezenet looks at pictures .* Take 'auto' or 'random'"):
            evaluate(build("vae", wrong), wrong.test, ["elbo", "fid"], features="squeezenet")
    with pytest.raises(DataNotFoundError, match="take another feature network"):
        named_network("squeezenet", tiny_split("unit", (1, 40, 40), 3, 0))
    with pytest.raises(UnknownNameError, match=r"There is no feature network 'squeezent'. Did you mean 'squeezenet'"):
        evaluate(build("vae", data), data.test, "fid", features="squeezent")
    with pytest.raises(RefusedError, match="none of elbo compares examples in features"):
        evaluate(build("vae", data), data.test, "elbo", features="random")
    with pytest.raises(RefusedError, match=r"Pass train=data.train"):
        evaluate(build("vae", data), data.test, "fid", features="random")
