"""The spaces that codes live in: a posterior and a prior must share theirs."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from reparam.errors import PartError

EDGE = 1e-5


class Space(ABC):
    """Where codes z lie, and against which measure their densities are taken. Two equal spaces are the same one."""

    one_hot_dims = 0  # how many of the first dimensions are choices among classes, apart from all others
    named_dims = 0  # how many of the first dimensions are meant to mean something, apart from noise

    @abstractmethod
    def nearest(self, z: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        """A point of the space near z, for tools that walk along straight lines."""

    def varied(self, z: Float[Tensor, "S L"]) -> Float[Tensor, "S L"]:
        """Codes from which a search begins: these, but that choices take their classes in turn."""
        return z

    def kept(self, z: Float[Tensor, "... L"], start: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        """A point near z that a search, which cannot walk between choices, may reach from where it began."""
        return self.nearest(z)


@dataclass(frozen=True)
class Euclidean(Space):
    """All of R^L, with the volume of R^L."""

    def __str__(self) -> str:
        return "all of R^L"

    def nearest(self, z: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        return z


@dataclass(frozen=True)
class Sphere(Space):
    """Vectors of length 1 in R^L, with the area of the sphere."""

    def __str__(self) -> str:
        return "the unit sphere in R^L"

    def nearest(self, z: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        return F.normalize(z, dim=-1)


@dataclass(frozen=True)
class PoincareBall(Space):
    r"""The hyperbolic space as the ball of radius :math:`1/\sqrt c` in R^L, with the hyperbolic volume.

    Attributes:
        curvature: c > 0; the space has curvature -c everywhere.
    """

    curvature: float = 1.0

    def __str__(self) -> str:
        return f"the Poincare ball of curvature -{self.curvature:g}"

    def nearest(self, z: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        largest = (1 - EDGE) / math.sqrt(self.curvature)
        return z * (largest / z.norm(dim=-1, keepdim=True).clamp_min(largest))


@dataclass(frozen=True)
class OneHotVectors(Space):
    """Groups of one-hot vectors side by side, counted one by one.

    Attributes:
        classes: Length of each one-hot vector.
    """

    classes: int

    def __str__(self) -> str:
        return f"one-hot vectors of {self.classes} classes"

    def nearest(self, z: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        """Probabilities: the simplex around the one-hot vectors, where the means of codes lie."""
        positive = z.unflatten(-1, (-1, self.classes)).clamp_min(0)
        total = positive.sum(-1, keepdim=True)
        uniform = torch.full_like(positive, 1 / self.classes)
        return torch.where(total > 0, positive / total.clamp_min(EDGE), uniform).flatten(-2)

    def varied(self, z: Float[Tensor, "S L"]) -> Float[Tensor, "S L"]:
        first = torch.arange(len(z), device=z.device) % self.classes
        return torch.cat([F.one_hot(first, self.classes).to(z), z[:, self.classes :]], -1)

    def kept(self, z: Float[Tensor, "... L"], start: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        return start


@dataclass(frozen=True)
class StructuredCodes(Space):
    """One-hot vectors, then numbers in [-1, 1], then any numbers.

    Attributes:
        classes: Length of each one-hot vector.
        choices: Number of one-hot vectors.
        uniform: How many numbers in [-1, 1].
    """

    classes: int
    choices: int
    uniform: int

    @property
    def one_hot_dims(self) -> int:  # type: ignore[override]
        """Dimensions of the choices."""
        return self.choices * self.classes

    @property
    def named_dims(self) -> int:  # type: ignore[override]
        """Dimensions of choices and numbers."""
        return self.one_hot_dims + self.uniform

    def __str__(self) -> str:
        return f"{self.choices} one-hot vectors of {self.classes} classes, {self.uniform} numbers in [-1, 1] and noise"

    def _split(self, z: Float[Tensor, "... L"]) -> tuple[Tensor, Tensor, Tensor]:
        one_hot, named = self.one_hot_dims, self.named_dims
        return z[..., :one_hot], z[..., one_hot:named], z[..., named:]

    def nearest(self, z: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        """Each choice as the class with the largest value: what lies between two classes has no meaning."""
        choice, numbers, noise = self._split(z)
        largest = choice.unflatten(-1, (self.choices, self.classes)).argmax(-1)
        one_hot = F.one_hot(largest, self.classes).to(z).flatten(-2)
        return torch.cat([one_hot, numbers.clamp(-1, 1), noise], -1)

    def varied(self, z: Float[Tensor, "S L"]) -> Float[Tensor, "S L"]:
        return OneHotVectors(self.classes).varied(z)

    def kept(self, z: Float[Tensor, "... L"], start: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        return torch.cat([self._split(start)[0], *self._split(self.nearest(z))[1:]], -1)


@dataclass(frozen=True)
class CodeVectors(Space):
    """Vectors that stand for codes from a finite set, counted one by one."""

    def __str__(self) -> str:
        return "a finite set of codes"

    def nearest(self, z: Float[Tensor, "... L"]) -> Float[Tensor, "... L"]:
        """z itself: which codes there are only the posterior knows, and decoders take what lies between them."""
        return z


EUCLIDEAN = Euclidean()
CODES = CodeVectors()


def require_classes(owner: str, latent_dim: int, classes: int) -> None:
    """Checks that z divides into one-hot vectors.

    Raises:
        PartError: if classes < 2, or latent_dim is not a multiple of it.
    """
    if classes < 2:
        raise PartError(f"{owner}: classes is {classes}, expected at least 2.")
    if latent_dim % classes:
        raise PartError(
            f"{owner}: latent_dim is {latent_dim}, which does not divide into one-hot vectors of {classes} classes. "
            f"Take latent_dim={classes * max(1, round(latent_dim / classes))}, or other classes."
        )
