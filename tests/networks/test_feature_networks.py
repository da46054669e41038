"""Networks in whose features pictures are compared: their maps, their weights, and the distance by hand."""

import math
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reparam.errors import MissingExtraError, PartError
from reparam.networks import FeatureNetwork, PerceptualDistance, instances
from reparam.networks.feature_networks import FEATURE_NETWORKS, FROM_FILES
from reparam.networks.instances import crops
from reparam.rng import reseed

COLOURS = (3, 64, 64)


def zeros(shapes: Any) -> dict[str, Any]:
    """Reads any weights: they are all zero."""
    return {name: torch.zeros(shape).numpy() for name, shape in shapes.items()}


def test_the_maps_of_squeezenet() -> None:
    """As torchvision's: a convolution and three poolings of stride 2, without padding."""
    network = FeatureNetwork(COLOURS, "squeezenet")
    network.start(torch.rand(1, *COLOURS), zeros)
    shapes = [tuple(found.shape) for found in network(torch.rand(2, *COLOURS))]
    sizes = [(64, 31), (128, 15), (256, 7), (384, 3), (384, 3), (512, 3), (512, 3)]
    assert shapes == [(2, width, side, side) for width, side in sizes]
    assert sum(weight.numel() for weight in network.body.state_dict().values()) == 722_496


@pytest.mark.parametrize("name", FROM_FILES)
def test_known_networks_take_grey_pictures_and_refuse_small_ones(name: str) -> None:
    grey = FeatureNetwork((1, 64, 48), name)
    grey.load(grey.body.state_dict())
    colours = FeatureNetwork((3, 64, 48), name)
    colours.load(grey.body.state_dict())
    x = torch.rand(2, 1, 64, 48)
    assert all(torch.equal(a, b) for a, b in zip(grey(x), colours(x.expand(-1, 3, -1, -1)), strict=True))
    if name != "mobilenet":  # it pads at every step
        with pytest.raises(PartError, match=f"{name} cannot look at pictures of 2x2: .* Take earlier layers"):
            FeatureNetwork((3, 2, 2), name)
    with pytest.raises(PartError, match="1 or 3 channels, these have 2"):
        FeatureNetwork((2, 64, 64), name)


def test_squeezenet_sees_blue_first_minus_its_mean() -> None:
    network = FeatureNetwork(COLOURS, "squeezenet", layers=(0,))
    network.load({"0.weight": torch.zeros(64, 3, 3, 3), "0.bias": torch.zeros(64)})
    for channel in range(3):  # the first three filters copy what is at their middle
        network.body[0].weight[channel, channel, 1, 1] = 1.0
    x = torch.rand(1, *COLOURS, dtype=torch.float64)
    (found,) = network.double()(x)
    red, green, blue = (255 * x[0, channel, 1:-1:2, 1:-1:2] for channel in range(3))
    for number, expected in enumerate((blue - 103.939, green - 116.779, red - 123.68)):
        side = found.shape[-1]
        # the mean is kept as a float32
        assert torch.allclose(found[0, number], expected[:side, :side], atol=1e-4)


def test_a_network_is_frozen_and_always_the_same() -> None:
    reseed(0)
    first = FeatureNetwork((2, 5, 7), "random")
    reseed(1)
    second = FeatureNetwork((2, 5, 7), "random")
    assert not list(first.parameters())
    assert not first.train().training
    states = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)


def test_without_weights_nothing_is_compared() -> None:
    network = FeatureNetwork(COLOURS, "squeezenet")
    assert network.starts
    with pytest.raises(PartError, match=r"squeezenet has no weights yet\. Train by reparam\.fit"):
        network(torch.rand(1, *COLOURS))
    with pytest.raises(PartError, match="nothing was given that reads it"):
        network.start(torch.rand(1, *COLOURS))


def test_training_pictures_start_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "STEPS", 3)
    network, reader = FeatureNetwork((1, 9, 8)), pytest.fail
    before = network.body[0].weight.clone()
    reseed(0)
    x = torch.rand(20, 1, 9, 8)
    network.start(x, reader)
    learned = network.body[0].weight.clone()
    assert not torch.equal(learned, before)
    assert not network.starts
    network.start(x)
    assert torch.equal(network.body[0].weight, learned)
    assert not list(network.parameters())


@pytest.mark.slow
def test_it_learns_to_know_pictures_again() -> None:
    """After training, views of 64 pictures are told apart far better than by chance (1/64) and than before."""
    reseed(0)
    x = torch.rand(64, 1, 3, 3).repeat_interleave(5, 2).repeat_interleave(5, 3)
    network = FeatureNetwork((1, 15, 15))

    def told() -> float:
        reseed(1)
        a, b = (network(crops(x))[-1].mean((2, 3)) for _ in range(2))
        a, b = (nn.functional.normalize(h - h.mean(0), dim=1) for h in (a, b))
        return ((a @ b.T).argmax(1) == torch.arange(64)).double().mean().item()

    before = told()
    network.start(x)
    assert told() > max(2 * before, 0.15)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (70, 1, 100, 30), (2, 2, 1, 40), (1, 1, 1, 1)])
def test_crops_keep_to_the_range_and_the_longest_side(shape: tuple[int, ...]) -> None:
    reseed(0)
    views = crops(torch.rand(shape))
    assert views.shape[:2] == shape[:2]
    assert max(views.shape[2:]) == min(32, max(shape[2:]))
    assert views.ge(0).all()
    assert views.le(1).all()


class TwoMaps(nn.Module):
    """Gives x and a vector of its channel means."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x * self.gain, x.mean((2, 3))]


def test_the_distance_by_hand() -> None:
    x = torch.tensor([[[[3.0, 0.0]], [[4.0, 1.0]]]], dtype=torch.float64)  # two channels, two positions
    y = torch.tensor([[[[4.0, 1.0]], [[3.0, 0.0]]]], dtype=torch.float64)
    # directions (.6, .8), (0, 1) against (.8, .6), (1, 0); means (1.5, 2.5) against (2.5, 1.5)
    first, length = (2 * 0.2**2 + 2) / 2, math.hypot(1.5, 2.5)
    second = 2 * (1 / length) ** 2
    measure = PerceptualDistance((2, 1, 2), TwoMaps(), weights=(2.0, 3.0)).double()
    # lengths of features are bounded away from 0 by 1e-8 below the root
    assert measure(x, y).item() == pytest.approx(2 * first + 3 * second, rel=1e-7)
    absolute = PerceptualDistance((2, 1, 2), TwoMaps(), weights=(2.0, 3.0), distance="l1").double()
    first, second = (2 * 0.2 + 2) / 2 / 2**0.5, 2 / length / 2**0.5
    assert absolute(x, y).item() == pytest.approx(2 * first + 3 * second, rel=1e-7)
    one = PerceptualDistance((2, 1, 2), TwoMaps(), layers=(1,)).double()
    assert one(x, y).item() == pytest.approx(2 * (1 / length) ** 2, rel=1e-7)


@pytest.mark.parametrize("distance", ["l1", "l2"])
@pytest.mark.parametrize("name", ["random", "squeezenet"])
def test_zero_between_equal_pictures_only(name: str, distance: Any) -> None:
    measure = PerceptualDistance(COLOURS, name, distance=distance)
    reseed(0)
    measure.network.load({key: torch.randn_like(value) for key, value in measure.network.body.state_dict().items()})
    x = torch.rand(3, *COLOURS)
    assert measure(x, x).eq(0).all()
    found = torch.stack([measure(x, y) for y in (x.flip(0), x.flip(3), (x + 0.1).clamp(0, 1), 0.5 + 0 * x)])
    assert found[0, [0, 2]].gt(1e-3).all()  # the one in the middle is where it was
    assert found[1:].gt(1e-3).all()
    assert found.le(4 if distance == "l2" else 2).all()
    assert torch.allclose(measure(x, x.flip(3)), measure(x.flip(3), x), rtol=1e-5)  # rounding of float32


def test_batches_are_broadcast_and_each_picture_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = PerceptualDistance((1, 8, 8), "random")
    seen: list[int] = []
    measure.network.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    x, y = torch.rand(3, 1, 8, 8), torch.rand(5, 3, 1, 8, 8)
    found = measure(x, y)
    assert found.shape == (5, 3)
    assert seen == [3, 15]
    assert torch.allclose(found[4], measure(x, y[4]), rtol=1e-5)  # rounding of float32


def test_no_gradient_is_lost_where_features_vanish() -> None:
    measure = PerceptualDistance((1, 8, 8), nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    y = torch.zeros(1, 1, 8, 8, requires_grad=True)
    measure(torch.rand(1, 1, 8, 8), y).sum().backward()
    assert y.grad is not None
    assert y.grad.isfinite().all()


def test_a_module_of_ones_own_is_copied() -> None:
    own = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Dropout(0.5)).train()
    measure = PerceptualDistance((1, 8, 8), own, layers=(0, 1))
    assert own.training
    assert own[0].weight.requires_grad
    assert not list(measure.parameters())
    x = torch.rand(2, 1, 8, 8)
    conv, activated = measure.network(x)
    assert torch.equal(conv, own[0](x))  # not what the activation behind it would make of it in place
    assert torch.equal(activated, conv.relu())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"network": "sqeezenet"}, "no feature network 'sqeezenet'. Did you mean 'squeezenet'"),
        ({"network": len}, "a builtin_function_or_method, expected a module, or a name. There are: mobilenet"),
        ({"layers": ()}, r"layers is \[\]"),
        ({"layers": (3, 1)}, "in rising order"),
        ({"layers": (-1,)}, "numbers of 0 or more"),
        ({"layers": (1, 8)}, "the network has only 8"),
        ({"network": TwoMaps(), "layers": (2,)}, r"layers is \[2\], the network gives 2 map"),
        ({"weights": (1.0,)}, "expected 4 number"),
        ({"weights": (1.0, 1.0, 1.0, -1.0)}, "of 0 or more"),
        ({"weights": (1.0, 1.0, 1.0, float("nan"))}, "of 0 or more"),
        ({"distance": "l3"}, "distance is 'l3'"),
        ({"data_shape": (8,)}, r"looks at pictures \(C, H, W\)"),
    ],
)
def test_refuses(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        PerceptualDistance(**({"data_shape": (1, 8, 8)} | arguments))


def test_torchvision_gives_weights_where_it_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stored:
        def get_state_dict(self, **how: Any) -> dict[str, Tensor]:
            assert how == {"progress": False, "check_hash": True, "weights_only": True}
            return {f"features.{name}": torch.ones_like(value) for name, value in network.body.state_dict().items()} | {
                "classifier.0.weight": torch.zeros(1)
            }

    network = FeatureNetwork(COLOURS, "vgg19", layers=(1,))
    models = SimpleNamespace(get_model_weights=lambda name: SimpleNamespace(DEFAULT={"vgg19": Stored()}[name]))
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    network.start(torch.rand(1, *COLOURS))
    assert network.body[0].weight.eq(1).all()
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(MissingExtraError, match=r"Fetching the weights of vgg16 needs torchvision \(the one made for"):
        FeatureNetwork(COLOURS, "vgg16").start(torch.rand(1, *COLOURS))


def test_every_network_says_what_it_is() -> None:
    assert len({known.named for known in FEATURE_NETWORKS.values()}) == len(FEATURE_NETWORKS)
    assert FeatureNetwork((1, 8, 8), nn.Sequential(nn.Flatten())).name == "Sequential"
