"""Networks in whose features pictures are compared: they learn nothing more, and their weights are buffers."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from reparam.errors import MissingExtraError, PartError, nearest
from reparam.networks.imagenet import mobilenet_v2, squeezenet, vgg
from reparam.networks.instances import learn_instances, small_network
from reparam.rng import seeded
from reparam.shapes import Shape, is_image

FeatureName = Literal["trained", "random", "squeezenet", "vgg16", "vgg19", "mobilenet"]
Weights = Mapping[str, Shape]
Read = Callable[[Weights], Mapping[str, NDArray[Any]]]  # names and shapes -> arrays, from a file

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation of red, green and blue
CAFFE = ((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255,))  # of blue, green and red, in units of a 255th


@dataclass(frozen=True)
class Known:
    """A network with a name: how it is built, what it takes, which of its modules are looked at, and its weights.

    Attributes:
        make: Channels of the data -> the modules, one after the other.
        layers: Numbers of the modules whose outputs are compared, where nobody says which.
        units: What is taken from x, in [0, 1], and what it is divided by, for each channel or for all.
        colours: True where it takes three colours: grey is then given three times.
        blue_first: True where the first of the three is blue.
        fill: Gives it weights: by the training pictures, or from a file; None where first weights are all it has.
        named: What is said of it beside a number.
    """

    make: Callable[[int], Iterator[nn.Module]]
    layers: tuple[int, ...]
    units: tuple[tuple[float, ...], tuple[float, ...]] = ((0.5,), (0.25,))
    colours: bool = True
    blue_first: bool = False
    fill: Callable[["FeatureNetwork", Tensor, Read | None], None] | None = None
    named: str = ""


def _fetch(name: str, network: "FeatureNetwork", x: Tensor, read: Read | None) -> None:
    """Weights as torchvision gives them out, read as plain tensors.

    Raises:
        MissingExtraError: if torchvision does not import beside this torch.
    """
    try:
        models = import_module("torchvision.models")
    except (ImportError, RuntimeError, AttributeError):  # RuntimeError: its operators are of another torch
        package = "torchvision (the one made for this torch)"
        raise MissingExtraError(f"Fetching the weights of {name}", package) from None
    weights = models.get_model_weights(name).DEFAULT
    found = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    network.load({key: found[f"features.{key}"] for key in network.body.state_dict()})


def _read(network: "FeatureNetwork", x: Tensor, read: Read | None) -> None:
    if read is None:
        raise PartError("The weights of this feature network are in a file, and nothing was given that reads it.")
    shapes = {f"features.{key}": tuple(value.shape) for key, value in network.body.state_dict().items()}
    network.load({key.removeprefix("features."): torch.from_numpy(v) for key, v in read(shapes).items()})


def _learn(network: "FeatureNetwork", x: Tensor, read: Read | None) -> None:
    with seeded(
        "feature network"
    ):  # the first weights of the network's own; all layers learn, also those not looked at
        pupil = nn.Sequential(*small_network(network.data_shape[0]))
    learn_instances(pupil, x.to(next(pupil.parameters())))
    learned = pupil.state_dict()
    network.load({key: learned[key] for key in network.body.state_dict()})


FEATURE_NETWORKS: dict[str, Known] = {
    "trained": Known(
        small_network, (1, 3, 5, 7), colours=False, fill=_learn, named="small network trained on the data"
    ),
    "random": Known(small_network, (1, 3, 5, 7), colours=False, named="small random network"),
    "squeezenet": Known(
        lambda channels: squeezenet(),
        (1, 4, 7, 9, 10, 11, 12),
        CAFFE,
        blue_first=True,
        fill=_read,
        named="SqueezeNet 1.1 (ImageNet)",
    ),
    "vgg16": Known(
        lambda channels: vgg((2, 2, 3, 3, 3)),
        (3, 8, 15, 22, 29),
        IMAGENET,
        fill=partial(_fetch, "vgg16"),
        named="VGG-16 (ImageNet, torchvision)",
    ),
    "vgg19": Known(
        lambda channels: vgg((2, 2, 4, 4, 4)),
        (1, 6, 11),
        IMAGENET,
        fill=partial(_fetch, "vgg19"),
        named="VGG-19 (ImageNet, torchvision)",
    ),
    "mobilenet": Known(
        lambda channels: mobilenet_v2(),
        (1, 3, 6, 13),
        IMAGENET,
        fill=partial(_fetch, "mobilenet_v2"),
        named="MobileNet V2 (ImageNet, torchvision)",
    ),
}
FROM_FILES = tuple(name for name in FEATURE_NETWORKS if name not in ("trained", "random"))


def frozen(module: nn.Module) -> nn.Module:
    """A copy whose weights are buffers: saved and moved with a model, and no parameters of it."""
    copied = copy.deepcopy(module).eval()
    for part in copied.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, weight.detach())
        if hasattr(part, "inplace"):
            setattr(part, "inplace", False)  # noqa: B010 - it would change the map of the module before it
    return copied


class FeatureNetwork(nn.Module):
    """Turns pictures into the maps of some layers of a network that does not learn.

    Weights that training pictures or a file give are there after :meth:`start`, or after they were loaded with a
    model. Until then ``trained`` has random ones, always the same, and the others refuse to answer.

    Shapes:
        x: (N, C, H, W), in [0, 1]  ->  a list of maps (N, c, h, w); those of a module of one's own may be (N, c, ...)
    Args:
        data_shape: Shape (C, H, W) of one picture; grey ones are shown to a network of colours three times.
        network: ``trained`` (a small one, on the data: :func:`~reparam.networks.instances.learn_instances`), ``random``
            (the same without training), ``squeezenet``, ``vgg16``, ``vgg19``, ``mobilenet`` (V2; weights of these three
            by torchvision), or any module, which is copied and takes x as it is.
        layers: Numbers of the modules of a sequence whose outputs are the maps, or of the maps where a module gives
            several; None takes those of the network, the last of a sequence of one's own, and all that a module gives.
    Attributes:
        started: 1 where the weights are those that the name promises.
    Raises:
        PartError: if there is no such network or layer, or it cannot take pictures of this shape.
    Source:
        Layers: of SqueezeNet and VGG-16, those of The unreasonable effectiveness of deep features as a perceptual
        metric (Zhang et al., 2018), arXiv:1801.03924, section 3; of VGG-19, those of Deep feature consistent VAE (Hou
        et al., 2017), arXiv:1610.00291, "VAE-123".
    """

    started: Tensor
    shift: Tensor
    unit: Tensor

    def __init__(
        self, data_shape: Shape, network: str | nn.Module = "trained", layers: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.data_shape = tuple(data_shape)
        if not is_image(self.data_shape):
            raise PartError(
                f"A feature network looks at pictures (C, H, W), data_shape is {data_shape}. Take another likelihood."
            )
        self.known = _known(network) if isinstance(network, str) else None
        if self.known is None and not isinstance(network, nn.Module):
            raise PartError(
                f"The feature network is a {type(network).__name__}, expected a module, or a name. "
                f"{nearest('', FEATURE_NETWORKS)}"
            )
        self.given = network if isinstance(network, str) else None
        if self.known is not None and self.known.colours and self.data_shape[0] not in (1, 3):
            raise PartError(
                f"{network} looks at pictures of 1 or 3 channels, these have {self.data_shape[0]}. Take 'trained'."
            )
        self.layers, body = self._chosen(network, layers)
        self.body = frozen(body)
        self.register_buffer("started", torch.tensor(int(self.known is None or self.known.fill is None)))
        shift, unit = ((0.0,), (1.0,)) if self.known is None else self.known.units
        self.register_buffer("shift", torch.tensor(shift).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("unit", torch.tensor(unit).reshape(-1, 1, 1), persistent=False)
        self._answers = self.given not in FROM_FILES
        self.maps = self._tried()

    def _chosen(
        self, network: str | nn.Module, layers: Sequence[int] | None
    ) -> tuple[tuple[int, ...] | None, nn.Module]:
        """The numbers of the layers, and the network up to the last of them."""
        if layers is not None and not (layers and list(layers) == sorted(set(layers)) and layers[0] >= 0):
            raise PartError(f"layers is {list(layers)}, expected numbers of 0 or more, in rising order.")
        wanted = None if layers is None else tuple(layers)
        if self.known is not None:
            wanted = wanted or self.known.layers
            with seeded("feature network"):  # the same first weights everywhere; the caller's generator stays
                body: nn.Sequential = nn.Sequential(*islice(self.known.make(self.data_shape[0]), wanted[-1] + 1))
        elif isinstance(network, nn.Sequential):
            wanted = wanted or (len(network) - 1,)
            body = cast(nn.Sequential, network[: wanted[-1] + 1])
        else:
            assert isinstance(network, nn.Module)
            return wanted, network
        if wanted[-1] >= len(body):
            raise PartError(f"layers is {list(wanted)}, the network has only {len(body)}.")
        return wanted, body

    def _tried(self) -> int:
        """How many maps there are of a picture, by showing it one: to a known network without taking memory."""
        if self.known is None or self.layers is None:
            return len(self(self.shift.new_zeros(1, *self.data_shape)))
        weights = {name: weight.to("meta") for name, weight in self.body.state_dict().items()}
        channels = 3 if self.known.colours else self.data_shape[0]
        try:
            functional_call(self.body, weights, torch.empty(1, channels, *self.data_shape[1:], device="meta"))
        except RuntimeError:
            raise PartError(
                f"{self.given} cannot look at pictures of {self.data_shape[1]}x{self.data_shape[2]}: they shrink to "
                f"nothing before its layer {self.layers[-1]}. Take earlier layers, or the network 'trained'."
            ) from None
        return len(self.layers)

    @property
    def network(self) -> str | nn.Module:
        """Its name, or the module that was given (a copy of it)."""
        return self.body if self.given is None else self.given

    @property
    def name(self) -> str:
        """What it is, in words."""
        return type(self.body).__name__ if self.known is None else self.known.named

    @property
    def starts(self) -> bool:
        """True until it has its weights."""
        return not self.started

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N C H W"], read: Read | None = None) -> None:
        """Gives it its weights, once.

        Args:
            x: Training pictures, for ``trained``.
            read: Gives the arrays of these names and shapes, for ``squeezenet``.
        Raises:
            DataError: if the file cannot be read.
        """
        if self.starts and self.known is not None and self.known.fill is not None:
            self.known.fill(self, x, read)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Takes weights of all layers by their names in the sequence."""
        self.body.load_state_dict(dict(weights))
        self.started.fill_(1)

    def train(self, mode: bool = True) -> "FeatureNetwork":
        """Stays as it is in evaluation."""
        return super().train(False)

    def forward(self, x: Float[Tensor, "N C H W"]) -> list[Tensor]:
        """The maps of each layer.

        Raises:
            PartError: if the weights are not there yet.
        """
        if not self._answers:
            if self.starts:
                raise PartError(
                    f"The feature network {self.given} has no weights yet. Train by reparam.fit, or call start(x) of "
                    "the likelihood with training pictures once."
                )
            self._answers = True
        x = x.to(self.shift.dtype)
        if self.known is not None:
            x = x.expand(-1, 3, -1, -1) if self.known.colours else x
            x = x.flip(1) if self.known.blue_first else x
            x = ((x - self.shift) / self.unit).contiguous(memory_format=torch.channels_last)
        return self._looked(x)

    def _looked(self, x: Tensor) -> list[Tensor]:
        if isinstance(self.body, nn.Sequential):
            maps = []
            for number, part in enumerate(self.body):
                x = part(x)
                if self.layers is None or number in self.layers:
                    maps.append(x)
            return maps
        found = self.body(x)
        maps = [found] if isinstance(found, Tensor) else list(found)
        try:
            return maps if self.layers is None else [maps[number] for number in self.layers]
        except IndexError:
            raise PartError(f"layers is {list(self.layers or ())}, the network gives {len(maps)} map(s).") from None


def _known(name: str) -> Known:
    if name not in FEATURE_NETWORKS:
        raise PartError(f"There is no feature network {name!r}. {nearest(name, FEATURE_NETWORKS)}")
    return FEATURE_NETWORKS[name]
