"""What every encoder and every decoder is."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from reparam.arguments import checked
from reparam.errors import PartError, ShapeError
from reparam.shapes import Shape


class Encoder(nn.Module, ABC):
    """Turns examples into features.

    Shapes:
        x: (B, *data_shape)  ->  h: (B, out_dim)
    """

    @checked
    def __init__(self, data_shape: Shape, out_dim: int) -> None:
        super().__init__()
        if out_dim < 1:
            raise PartError(f"{type(self).__name__}: the last hidden layer is {out_dim} wide, expected at least 1.")
        self.data_shape, self.out_dim = tuple(data_shape), out_dim

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B F"]:
        """Features of each example.

        Raises:
            ShapeError: if x is not (B, *data_shape).
        """
        if tuple(x.shape[1:]) != self.data_shape:
            expected = ", ".join(map(str, self.data_shape))
            raise ShapeError(
                f"{type(self).__name__}: x is {tuple(x.shape)}, expected (B, {expected}). "
                f"Reshape x, or build the model for data_shape={tuple(x.shape[1:])}."
            )
        return self.features(x)

    @abstractmethod
    def features(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B F"]:
        """Features of examples whose shape has been checked."""


class Decoder(nn.Module, ABC):
    """Turns codes into the numbers a likelihood needs.

    Shapes:
        z: (N, latent_dim)  ->  h: (N, *out_shape)
    """

    @checked
    def __init__(self, latent_dim: int, out_shape: Shape) -> None:
        super().__init__()
        if latent_dim < 1:
            raise PartError(f"{type(self).__name__}: latent_dim is {latent_dim}, expected at least 1.")
        self.latent_dim, self.out_shape = latent_dim, tuple(out_shape)

    @abstractmethod
    def forward(self, z: Float[Tensor, "N L"]) -> Float[Tensor, "N ..."]:
        """The likelihood's numbers for each code."""
