"""Conditions: what travels with an example by name becomes a vector c, and c goes into encoders and decoders."""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from reparam.errors import PartError, ShapeError
from reparam.networks.base import Decoder, Encoder
from reparam.shapes import Shape


class Condition(nn.Module, ABC):
    """Turns a named value of each example into a vector c.

    Shapes:
        values: (*B, ...)  ->  c: (*B, dim)
    Args:
        name: What the value is called in a batch.
        dim: Length of c.
    Raises:
        PartError: if dim < 1.
    """

    starts = False  # True for those that begin from data
    hidden_dims: tuple[int, ...] = ()  # hidden layers that a function of c needs to be any function

    def __init__(self, name: str, dim: int) -> None:
        super().__init__()
        if dim < 1:
            raise PartError(f"{type(self).__name__}: there are {dim} values of {name!r}, expected at least 1.")
        self.name, self.dim = name, dim

    @property
    @abstractmethod
    def example(self) -> Tensor:
        """A value of one example, to find out how a model answers."""

    @abstractmethod
    def forward(self, values: Shaped[Tensor, "..."]) -> Float[Tensor, "*B C"]:
        """c of each value."""

    def start(self, values: Shaped[Tensor, "N ..."]) -> None:
        """Looks at the values of some training examples before the first step, once; most need not."""


class ClassCondition(Condition):
    r"""One-hot vectors of class numbers; all zeros where the class is not known (-1).

    .. math:: c_k = [\text{label} = k]

    Probabilities of the classes are taken as they are.

    Shapes:
        values: (*B), whole numbers, or (*B, classes), probabilities  ->  c: (*B, classes)
    Args:
        classes: Number of classes.
        name: What the class number is called in a batch.
    Raises:
        PartError: if classes < 1; when called on the CPU, if a number is greater than that of the last class.
    """

    classes_there: Tensor

    def __init__(self, classes: int, name: str = "labels") -> None:
        super().__init__(name, classes)
        self.classes = classes
        self.register_buffer("classes_there", torch.arange(classes), persistent=False)

    @property
    def example(self) -> Tensor:
        return self.classes_there[0]

    def forward(self, values: Shaped[Tensor, "..."]) -> Float[Tensor, "*B C"]:
        if values.is_floating_point():
            return self._shares(values)
        if values.device.type == "cpu" and values.numel() and values.max() >= self.classes:  # a GPU would have to wait
            raise PartError(
                f"ClassCondition: got class {int(values.max())}, expected 0 to {self.classes - 1}, or -1 for not known."
            )
        return values.unsqueeze(-1).eq(self.classes_there).to(torch.get_default_dtype())

    def _shares(self, values: Tensor) -> Tensor:
        """Probabilities, or other weights of the classes, as they are.

        Raises:
            PartError: if there is not one for each class: class numbers are whole numbers.
        """
        if values.ndim == 0 or values.shape[-1] != self.classes:
            raise PartError(
                f"ClassCondition: got {values.dtype} numbers of shape {tuple(values.shape)} that are no probabilities "
                f"of {self.classes} classes. Give class numbers as whole numbers, labels.long()."
            )
        return values


class VectorCondition(Condition):
    r"""Numbers that describe an example (attributes, factors, measurements), in units of their spread over the data.

    .. math:: c = (a - \mathrm{mean}) / \mathrm{stddev}

    Mean and standard deviation are those of training examples; a number that never varies keeps its unit.

    Shapes:
        values: (*B, numbers)  ->  c: (*B, numbers)
    Args:
        numbers: How many there are for each example.
        name: What they are called in a batch.
    Raises:
        PartError: if numbers < 1.
    """

    hidden_dims = (64,)
    shift: Tensor
    scale: Tensor

    def __init__(self, numbers: int, name: str = "attributes") -> None:
        super().__init__(name, numbers)
        self.numbers = numbers
        self.register_buffer("shift", torch.zeros(numbers))
        self.register_buffer("scale", torch.ones(numbers))

    @property
    def example(self) -> Tensor:
        return self.shift

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True until it has the units of data."""
        return not bool(self.shift.any()) and bool(self.scale.eq(1).all())

    @torch.no_grad()
    def start(self, values: Shaped[Tensor, "N ..."]) -> None:
        numbers = self._checked(values).double().cpu()
        constant = numbers.amin(0) == numbers.amax(0)
        self.shift.copy_(torch.where(constant, numbers[0], numbers.mean(0)))
        self.scale.copy_(torch.where(constant, 1.0, numbers.std(0, correction=0)))

    def forward(self, values: Shaped[Tensor, "..."]) -> Float[Tensor, "*B C"]:
        return (self._checked(values).to(self.scale) - self.shift) / self.scale

    def _checked(self, values: Tensor) -> Tensor:
        if not values.ndim or values.shape[-1] != self.numbers:
            raise ShapeError(
                f"VectorCondition: {self.name} are {tuple(values.shape)}, expected (B, {self.numbers}): "
                f"{self.numbers} number(s) for each example."
            )
        return values


def widened(data_shape: Shape, condition_dim: int) -> Shape:
    """Shape of an example with a condition beside it: a vector's numbers and c, or one more channel."""
    first, *rest = data_shape
    return (first + (1 if rest else condition_dim), *rest)


def require_condition(owner: str, c: Tensor | None, condition_dim: int) -> Tensor:
    """The condition, which must be there and of this length.

    Raises:
        ShapeError: if it is not.
    """
    if c is None or c.shape[-1] != condition_dim:
        given = "nothing" if c is None else str(tuple(c.shape))
        raise ShapeError(f"{owner}: c is {given}, expected (B, {condition_dim}). Pass the condition of each example.")
    return c


def painter(data_shape: Shape, condition_dim: int) -> nn.Linear | None:
    """What paints c as one more channel beside examples of this shape; None beside a vector, where c stands itself."""
    _, *rest = data_shape
    return nn.Linear(condition_dim, math.prod(rest), bias=False) if rest else None


def beside(x: Float[Tensor, "B ..."], c: Float[Tensor, "B C"], paint: nn.Linear | None) -> Float[Tensor, "B ..."]:
    """x with c beside it: c itself beside a vector, else the channel that it is painted as."""
    c = c.to(x)
    told = c if paint is None else paint(c).reshape(len(c), 1, *x.shape[2:])
    return torch.cat([x, told], 1)


def narrowed(data_shape: Shape, condition_dim: int) -> Shape:
    """Shape of an example without the condition that stands beside it in this one; see :func:`widened`."""
    first, *rest = data_shape
    return (first - (1 if rest else condition_dim), *rest)


class ConditionalEncoder(Encoder):
    r"""An encoder that sees a condition beside x: c itself beside a vector, one channel that c paints beside a picture.

    .. math:: h = f([x, c]) \quad\text{or}\quad h = f([x, W c])

    Shapes:
        x: (B, *data_shape), c: (B, condition_dim)  ->  h: (B, out_dim)
    Args:
        base: The encoder of examples of the shape ``widened(data_shape, condition_dim)``.
        condition_dim: Length of c.
    Source:
        Learning structured output representation using deep conditional generative models (Sohn et al., 2015),
        q(z|x, y) of eq. 3.
    """

    def __init__(self, base: Encoder, condition_dim: int) -> None:
        super().__init__(narrowed(base.data_shape, condition_dim), base.out_dim)
        self.base, self.condition_dim = base, condition_dim
        self.paint = painter(base.data_shape, condition_dim)

    def forward(self, x: Float[Tensor, "B ..."], c: Float[Tensor, "B C"] | None = None) -> Float[Tensor, "B F"]:
        c = require_condition(type(self).__name__, c, self.condition_dim)
        return self.features(beside(x, c, self.paint))

    def features(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B F"]:
        return self.base(x)


class ConditionalDecoder(Decoder):
    r"""A decoder that is told a condition beside z: h = f([z, c]); one number that c paints beside each code of a map.

    Shapes:
        z: (N, latent_dim), c: (N, condition_dim)  ->  h: (N, *out_shape)
    Args:
        base: The decoder of longer codes: ``condition_dim`` numbers more, or one for each position of its map.
        condition_dim: Length of c.
    Source:
        Learning structured output representation using deep conditional generative models (Sohn et al., 2015),
        p(x|z, y) of eq. 3.
    """

    def __init__(self, base: Decoder, condition_dim: int) -> None:
        self_grid: tuple[int, ...] | None = getattr(base, "grid", None)
        positions = math.prod(self_grid) if self_grid else condition_dim
        super().__init__(base.latent_dim - positions, base.out_shape)
        self.base, self.condition_dim, self.grid = base, condition_dim, self_grid
        self.paint = nn.Linear(condition_dim, positions, bias=False) if self_grid else None

    def forward(self, z: Float[Tensor, "N L"], c: Float[Tensor, "N C"] | None = None) -> Float[Tensor, "N ..."]:
        c = require_condition(type(self).__name__, c, self.condition_dim).to(z)
        if self.paint is None:
            return self.base(torch.cat([z, c], 1))
        painted = self.paint(c).unsqueeze(-1)
        return self.base(torch.cat([z.reshape(len(z), painted.shape[1], -1), painted], -1).flatten(1))
