"""Networks that turn examples into features, in which sets of examples are compared."""

import hashlib
import inspect
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.data import Batch, DataSpec, Split
from reparam.data.fetch import cache_folder
from reparam.data.pretrained import squeezenet_weights
from reparam.errors import PartError, UnknownNameError, nearest
from reparam.files import replacing
from reparam.networks import ConvEncoder, Encoder, FeatureNetwork, MLPEncoder, StandardizedEncoder
from reparam.networks.feature_networks import FEATURE_NETWORKS, FROM_FILES
from reparam.rng import generator, seeded
from reparam.trust import MARK, imported, is_path

FEATURES = 64
STEPS, EPOCHS, BATCH = 800, 30, 128
LEARNING_RATE = 2e-3
AUTO, RANDOM = "auto", "random"
NAMES = (AUTO, RANDOM, *FROM_FILES)  # beside the import path of a class
EDITION = 1  # of the networks in the cache: another one for another architecture or training
_FINGERPRINT_ITEMS, _SOME = 256, 1000


class Features(nn.Module):
    """A small network from examples to 64 features: convolutions for images and signals, dense layers for tables.

    Features are in units of their own spread over the training data: their variances have a mean of 1.

    Shapes:
        x: (B, *data_shape)  ->  (B, 64)

    Args:
        spec: What the data are.
        classes: Number of classes that a last layer tells apart; 0 for a network that is not trained.
    """

    unit: Tensor

    def __init__(self, spec: DataSpec, classes: int) -> None:
        super().__init__()
        encoder: Encoder
        if len(spec.shape) > 1:
            encoder, kind = ConvEncoder(spec.shape, blocks=1, hidden_dim=FEATURES, block="plain"), "conv"
        else:
            encoder, kind = MLPEncoder(spec.shape, (128, FEATURES)), "mlp"
        if spec.shift:
            encoder = StandardizedEncoder(encoder, **spec.units)
        self.encoder = encoder
        self.register_buffer("unit", torch.ones(()))
        self.head = nn.Linear(FEATURES, classes) if classes else None
        what = f"classifier of {spec.name} ({classes} classes)" if classes else f"random, for {spec.name}"
        self.name = f"{kind}-{FEATURES} {what}"

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B F"]:
        return self.encoder(x) / self.unit

    @torch.no_grad()
    def settle(self, train: Split) -> None:
        """Chooses the unit of the features, once; what the classifier says stays the same."""
        features = torch.cat([self(batch.x) for batch in train.batches(BATCH)])
        spread = features.var(0, correction=0).mean().sqrt()
        if spread > 0:
            self.unit.copy_(spread)
            if self.head is not None:
                self.head.weight.mul_(spread)


def feature_network(train: Split, seed: int = 0, learns: bool = True) -> Features:
    """The feature network of some data: a classifier trained on their labels.

    It is a random network where no label is known, all that are known are the same, or it must not learn.

    A trained one is kept in the user's cache folder, by a fingerprint of the data, the seed and the edition, with which
    its name ends: numbers compare where the names are the same.

    Args:
        train: The training split; it is trained on the device of these data.
        seed: Seed of its first weights and of its training.
        learns: False for a random network whatever the labels say.

    Source:
        Features of a classifier of the data at hand in place of Inception's, as for MNIST in Demystifying MMD GANs
        (Binkowski et al., 2018), arXiv:1801.01401, section 5.
    """
    labelled = known(train)
    labels = labelled.labels
    classes = int(labels.max()) + 1 if learns and labels is not None and len(labels.unique()) > 1 else 0
    train = labelled if classes else train
    with seeded(seed, "feature network"):
        network = Features(train.spec, classes)
    network.to(train.device).requires_grad_(bool(classes))
    if classes:
        _loaded_or_trained(network, train, seed)
    else:
        network.settle(_some(train))
    return network.eval().requires_grad_(False)


class PooledFeatures(nn.Module):
    """The mean over all positions of the last map of a network for ImageNet, in the units that the network gives.

    Shapes:
        x: (B, C, H, W), in [0, 1]  ->  (B, F)

    Args:
        spec: What the data are.
        name: One of the networks whose weights come from a file, such as ``squeezenet``.
    Raises:
        PartError: if the data are no pictures in [0, 1] that it can look at.
        DataError: if the file with its weights cannot be read.
        MissingExtraError: if the weights come by torchvision, and that is not there.
    """

    def __init__(self, spec: DataSpec, name: str) -> None:
        super().__init__()
        try:
            if not spec.in_unit_interval:
                raise PartError("The values are no brightnesses in [0, 1].")
            self.network = FeatureNetwork(spec.shape, name, layers=FEATURE_NETWORKS[name].layers[-1:])
        except PartError:
            raise PartError(
                f"features: {name} looks at pictures with values in [0, 1], with 1 or 3 channels and some 20 pixels a "
                f"side at least; the examples of {spec.name} are {spec.kind} of shape {spec.shape}. Take 'auto' or "
                "'random'."
            ) from None
        self.network.start(torch.zeros(1, *spec.shape), squeezenet_weights)
        self.name = self.network.name

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        last: Tensor = self.network(x)[-1]
        return last.flatten(2).mean(2)


def named_network(name: str, train: Split, seed: int = 0) -> nn.Module:
    """The feature network that a name stands for.

    Args:
        name: ``auto`` (:func:`feature_network`), ``random`` (the same without labels), a network of
            :class:`~reparam.networks.FeatureNetwork` whose weights come from a file, such as ``squeezenet`` or
            ``vgg16``, or the import path of a module, ``package.module:Class``, whose constructor takes nothing, or
            ``data_shape``.
        train: The training split.
        seed: Seed of first weights.
    Raises:
        UnknownNameError: if there is no such network.
        PartError: if it cannot look at these data, or the class cannot be made.
        DataError: if the file with its weights cannot be read.
        RunError: if the class may not be imported, or there is none.
    """
    if is_path(name):
        return _own_network(name, train.spec, seed)
    if name not in NAMES:
        raise UnknownNameError(
            f"There is no feature network {name!r}. {nearest(name, NAMES)} A class of your own is named "
            f"package.module{MARK}Class."
        )
    if name in FROM_FILES:
        return PooledFeatures(train.spec, name).to(train.device)
    return feature_network(train, seed, learns=name == AUTO)


def _own_network(path: str, spec: DataSpec, seed: int) -> nn.Module:
    """A module of the user's own, called by its path where it has no name of its own."""
    cls = imported(path)
    given = {"data_shape": spec.shape} if "data_shape" in inspect.signature(cls).parameters else {}
    try:
        with seeded(seed, "feature network"):
            network: nn.Module = cls(**given)
    except Exception as error:  # whatever a class of the user's own raises
        raise PartError(
            f"features: {path} cannot be made ({type(error).__name__}: {error}). Its constructor is given nothing, or "
            "data_shape where it takes that."
        ) from error
    if not hasattr(network, "name"):
        setattr(network, "name", path)  # noqa: B010 - a module takes any attribute
    return network.eval()


def is_known(split: Split) -> Bool[Tensor, " N"]:
    """Which examples have a label that is not forgotten, on the CPU; all where there are no labels."""
    return torch.ones(len(split), dtype=torch.bool) if split.labels is None else split.labels.cpu() >= 0


def known(split: Split) -> Split:
    """The examples whose labels are not forgotten."""
    there = is_known(split)
    return split if there.all() else split.take(there.nonzero().flatten())


def _loaded_or_trained(network: Features, train: Split, seed: int) -> None:
    path = _place(train, seed)
    network.name += f", {path.stem[:6]}"
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError):  # not there, or damaged
        _train(network, train, seed)
        network.settle(_some(train))
        with suppress(OSError, SafetensorError), replacing(path) as aside:  # a cache that cannot be written is none
            save_file({name: value.cpu().contiguous() for name, value in network.state_dict().items()}, aside)


def _some(train: Split) -> Split:
    """At most 1,000 random training examples; of a dynamic split, drawn once."""
    return train.subset(_SOME, "features").fixed("features")


def _place(train: Split, seed: int) -> Path:
    """Where the network of these data and this seed is kept."""
    some = train.take(torch.randperm(len(train), generator=generator("fingerprint"))[:_FINGERPRINT_ITEMS])
    digest = hashlib.blake2b(repr((EDITION, seed, len(train), train.spec)).encode(), digest_size=12)
    for values in (some.examples(slice(None)), some.named["labels"]):
        digest.update(values.cpu().contiguous().numpy().tobytes())
    return cache_folder() / "feature-networks" / f"{digest.hexdigest()}.safetensors"


def _train(network: Features, train: Split, seed: int) -> None:
    """Takes at most 800 steps of Adam (at most 30 epochs) on the cross-entropy of the labels."""
    assert network.head is not None
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    with torch.enable_grad(), seeded(seed, "feature training"):
        for batch in _shuffled(train, seed):
            loss = F.cross_entropy(network.head(network(batch.x)), batch.named["labels"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _shuffled(train: Split, seed: int) -> Iterator[Batch]:
    """Batches of up to 128 examples, epoch by epoch."""
    size = min(BATCH, len(train))
    in_epoch = len(train) // size
    left = min(STEPS, EPOCHS * in_epoch)
    for epoch in range(math.ceil(left / in_epoch)):
        order = train.order(seed, epoch)
        for step in range(min(in_epoch, left - epoch * in_epoch)):
            yield train.batch(order[step * size : (step + 1) * size])
