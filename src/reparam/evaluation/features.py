"""Networks that turn examples into features, in which sets of examples are compared."""

import hashlib
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
from reparam.files import replacing
from reparam.networks import ConvEncoder, Encoder, MLPEncoder, StandardizedEncoder
from reparam.rng import generator, seeded

FEATURES = 64
STEPS, EPOCHS, BATCH = 800, 30, 128
LEARNING_RATE = 2e-3
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
            encoder = StandardizedEncoder(encoder, spec.shift, spec.scale)
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


def feature_network(train: Split, seed: int = 0) -> Features:
    """The feature network of some data: a classifier trained on their labels.

    It is a random network where no label is known, or all that are known are the same.

    A trained one is kept in the user's cache folder, by a fingerprint of the data, the seed and the edition, with which
    its name ends: numbers compare where the names are the same.

    Args:
        train: The training split; it is trained on the device of these data.
        seed: Seed of its first weights and of its training.

    Source:
        Features of a classifier of the data at hand in place of Inception's, as for MNIST in Demystifying MMD GANs
        (Binkowski et al., 2018), arXiv:1801.01401, section 5.
    """
    labelled = known(train)
    labels = labelled.labels
    classes = int(labels.max()) + 1 if labels is not None and len(labels.unique()) > 1 else 0
    train = labelled if classes else train
    with seeded(seed, "feature network"):
        network = Features(train.spec, classes)
    network.to(train.device).requires_grad_(bool(classes))
    if classes:
        _loaded_or_trained(network, train, seed)
    else:
        network.settle(_some(train))
    return network.eval().requires_grad_(False)


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
