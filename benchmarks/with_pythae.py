"""pythae 0.1.2 with the settings it comes with, and networks of the same sizes."""

from typing import Any

from nets import BATCH, EPOCHS, LATENT, SHARE_FOR_VALIDATION, binary_images, make_net
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn
from worker import Watch


class Encoder(BaseEncoder):
    """An MLP of this width; pythae's own is 512 wide."""

    def __init__(self, shape: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.net = make_net("mlp", shape, hidden).encoder
        self.loc, self.log_var = nn.Linear(hidden, LATENT), nn.Linear(hidden, LATENT)

    def forward(self, x: Tensor) -> ModelOutput:
        h = self.net(x)
        return ModelOutput(embedding=self.loc(h), log_covariance=self.log_var(h))


class Decoder(BaseDecoder):
    """Its mirror, which gives probabilities."""

    def __init__(self, shape: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.net = make_net("mlp", shape, hidden).decoder

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.net(z).sigmoid())


def make_model(net: str, shape: tuple[int, ...], hidden: int = 400) -> VAE:
    """pythae's VAE with an MLP of this width, or with its own convolutional networks for MNIST."""
    config = VAEConfig(input_dim=shape, latent_dim=LATENT, reconstruction_loss="bce")
    if net == "mlp":
        return VAE(config, Encoder(shape, hidden), Decoder(shape, hidden))
    return VAE(config, Encoder_Conv_VAE_MNIST(config), Decoder_Conv_AE_MNIST(config))


class EndOfEpoch(TrainingCallback):
    """Ends a lap after each epoch and its validation."""

    def __init__(self, watch: Watch, steps: int) -> None:
        self.watch, self.steps = watch, steps

    def on_epoch_end(self, training_config: Any, **named: Any) -> None:
        self.watch.lap(self.steps)


def training(watch: Watch, *, net: str, shape: list[int], steps: int, hidden: int = 400) -> None:
    """The pipeline with its trainer."""
    count = steps * BATCH
    config = BaseTrainerConfig(
        output_dir="run",
        num_epochs=EPOCHS,
        learning_rate=1e-3,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        no_cuda=watch.device.type != "cuda",
    )
    TrainingPipeline(model=make_model(net, tuple(shape), hidden), training_config=config)(
        train_data=binary_images(count, tuple(shape)).float(),
        eval_data=binary_images(max(1, count // SHARE_FOR_VALIDATION), tuple(shape), seed=1).float(),
        callbacks=[EndOfEpoch(watch, steps)],
    )


def likelihood(watch: Watch, *, items: int, samples: int, batch_size: int = 100) -> None:
    """``get_nll``."""
    model = make_model("mlp", (1, 28, 28)).to(watch.device).eval()
    x = binary_images(items, (1, 28, 28)).float().to(watch.device)
    while True:
        model.get_nll(x, n_samples=samples, batch_size=batch_size)
        watch.lap(items)
