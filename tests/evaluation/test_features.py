"""The feature network: trained once for data and seed, kept, and named."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from reparam.data import DataSpec, Split
from reparam.evaluation import Features, feature_network
from reparam.evaluation import features as module
from reparam.rng import reseed
from tests.contracts.members import tiny_split


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
