"""What every model with a code z for each x is: what it takes, how it codes, and how it makes new examples."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from operator import index
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.arguments import checked
from reparam.classes import class_places
from reparam.distributions import EUCLIDEAN, Space, tempered
from reparam.distributions.kl import KLMethod
from reparam.errors import PartError, RefusedError, ShapeError, nearest
from reparam.likelihoods import Likelihood
from reparam.networks import Corruption
from reparam.reading import shown
from reparam.rng import per_example
from reparam.shapes import Shape
from reparam.trace import Trace

PRECISIONS = (torch.float32, torch.float64)  # of weights, to which x is brought


class Autoencoder(nn.Module, ABC):
    """A model that infers a code from an example and decodes examples from codes; the rest follows.

    Args:
        kl: ``auto``, ``closed`` (closed form or an error) or ``sampled`` (Monte Carlo).
    Attributes:
        conditions: Names of what it must be told of each example beside x.
        observes: Names of what it takes note of in training, where the data have it.
        shares_by: Which of them say what examples have a latent in common; validation takes note of these, too.
        content_dim: How many of its first dimensions are what a group has in common; 0 where there are no groups.
        steps: T of a model of sequences, which has a latent for each step; 0 elsewhere.
        prior: -> p(z), read as ``prior(infer=model.infer)``; None where there is none.
        likelihood: -> p(x|z).
        corruption: Damage done to what q sees in a trace, or None.
        amortized: False where the code of each example is searched for, which takes a while.
        judged_by: The metrics that say how good it is, when nobody asks for others.
        built: How :func:`reparam.build` made it, and how it was last trained; None where nobody did.
        class_names: What the classes of its data are called, in the order of their places; empty where that is not
            known.
    """

    amortized = True
    content_dim = 0
    steps = 0
    judged_by: tuple[str, ...] = ("elbo", "reconstruction", "nll")
    built: Any = None
    class_names: tuple[str, ...] = ()

    conditions: tuple[str, ...] = ()
    observes: tuple[str, ...] = ()
    shares_by: tuple[str, ...] = ()
    prior: Any
    likelihood: Likelihood
    corruption: Corruption | None

    def __init__(self, kl: KLMethod) -> None:
        super().__init__()
        self.kl: KLMethod = kl
        self._told: Mapping[str, Tensor] = {}

    @property
    @abstractmethod
    def latent_dim(self) -> int:
        """Number of latent dimensions L."""

    @property
    def code_dim(self) -> int:
        """Numbers of a code that can be learnt from others like it: of all of z, or of a step's where steps vary."""
        return self.latent_dim

    def codes(self, z: Float[Tensor, "B L"], **named: Any) -> Float[Tensor, "N C"]:
        """The codes in the z of examples that have what is named: one in each, or one in each of its steps."""
        return z

    @property
    def some_told(self) -> dict[str, Any]:
        """What an example may be told, by name, for who asks of what kind q(z|x) is."""
        return {}

    @property
    def tellable(self) -> tuple[str, ...]:
        """Names of what :meth:`given` takes."""
        return self.conditions

    @property
    def told_each(self) -> bool:
        """True where :meth:`given` told one value for each of several examples."""
        return any(value.ndim > 0 and len(value) > 1 for value in self._told.values())

    @abstractmethod
    def trace(
        self,
        x: Float[Tensor, "..."],
        samples: int = 1,
        *,
        q: Distribution | None = None,
        p_z: Distribution | None = None,
        fixed_q: bool = False,
        **named: Any,
    ) -> Trace:
        """One pass: draws K codes for each example and gives every log density there, nats.

        A de-noising model is given a damaged copy, in training and when it is judged; :meth:`infer` never damages x.

        Args:
            x: Examples; one item counts as a batch of one.
            samples: Number of draws K.
            q: What :meth:`infer` gave for x, to encode once and draw many times.
            p_z: What :meth:`p_z` gave for what the model is told, or the ``p_z`` of an earlier trace, where the
                prior is not being trained.
            fixed_q: ``log_q`` passes gradients to z and none to the parameters of q, as some estimators want it.
            **named: What the model must be told, by name: see :attr:`conditions`.
        Raises:
            PartError: if it takes no such thing.
        """

    @abstractmethod
    def infer(self, x: Float[Tensor, "..."], **named: Any) -> Distribution:
        """q(z|x): batch (B,), event (L,); for one item, batch ()."""

    @abstractmethod
    def decode(self, z: Float[Tensor, "*N L"], **named: Any) -> Distribution:
        """p(x|z): batch (*N), event ``data_shape``."""

    def forward(self, x: Float[Tensor, "..."], samples: int = 1, **named: Any) -> Trace:
        """``model(x)`` is :meth:`trace`."""
        return self.trace(x, samples, **named)

    def filtered(
        self, x: Float[Tensor, "B ..."], particles: int, resample_below: float = 0.5, **named: Any
    ) -> Float[Tensor, " B"]:
        """Log of an unbiased estimate of p(x) by particles, nats; without steps that is the importance-weighted one."""
        return self.trace(x, particles, **named).log_w.logsumexp(0) - math.log(particles)

    def p_z(self, **named: Any) -> Distribution:
        """The prior p(z): batch () or, where the prior depends on what is told of N examples, (N,).

        Raises:
            RefusedError: if there is none.
        """
        if self.prior is None:
            raise RefusedError(
                "A plain autoencoder has no prior p(z), so it cannot make new examples. Draw from a density fitted to "
                "its codes ('reparam sample RUN --sampler gmm'), train 'vae', or interpolate."
            )
        p_z: Distribution = self.prior(infer=self.infer)
        return p_z

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."], **named: Any) -> None:
        """Shows training examples to the parts that begin from data, once, before the first step."""
        if self.likelihood.starts:
            self.likelihood.start(x)

    def given(self, **named: Any) -> "Autoencoder":
        """The same model, told something once for all that it is asked from then on; the weights are shared.

        Args:
            **named: Some of :attr:`conditions`: one value for all examples, or one for each of a batch. ``labels``
                are names of classes, one of :attr:`class_names` or a list or an array of them; a tensor holds their
                places there. So do plain numbers, unless the names are other whole numbers.
        Raises:
            PartError: if the model takes no such thing, there is no such class, or a number could be a name.
        """
        if not named:
            return self
        for name in named:
            if name not in self.conditions:
                raise PartError(
                    f"{type(self).__name__}: it takes no {name!r}. "
                    + (nearest(name, self.conditions) if self.conditions else "It takes nothing beside x.")
                )
        bound = copy.copy(self)
        bound._told = {**self._told, **self.placed(named)}
        bound.conditions = tuple(name for name in self.conditions if name not in named)
        return bound

    def placed(self, named: Mapping[str, Any]) -> dict[str, Tensor]:
        """What is told, by name, as tensors: classes that are told by their names as their places.

        Raises:
            PartError: if there is no such class, a number could be a name, or something else is no number.
        """
        return {name: self._placed(name, value) for name, value in named.items()}

    def _placed(self, name: str, value: Any) -> Tensor:
        owner = type(self).__name__
        if name == "labels":
            return class_places(value, self.class_names, owner)
        try:
            return torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError):
            raise PartError(f"{owner}: {name} is {shown(value)}, expected a number or a tensor of them.") from None

    def untold(self, count: int) -> tuple["Autoencoder", dict[str, Tensor]]:
        """The model before it was told one value for each of so many examples, and those values, by name."""
        each = {name: value for name, value in self._told.items() if value.ndim > 0 and len(value) == count}
        bound = copy.copy(self)
        bound._told = {name: value for name, value in self._told.items() if name not in each}
        bound.conditions = (*self.conditions, *each)
        return bound, each

    def require_taken(self, named: Mapping[str, Any]) -> None:
        """Checks that the model takes what it is told, by name: what it must be told, or takes note of.

        Raises:
            PartError: if it does not, which may be a misspelt argument.
        """
        for name in named:
            if name not in self.conditions and name not in self.observes and name not in self._told:
                known = (*self.conditions, *self.observes, "samples")
                raise PartError(f"{type(self).__name__}: it takes no {name!r}. {nearest(name, known)}")

    def require_codes(self, z: object) -> None:
        """Checks that z can be decoded.

        Raises:
            ShapeError: if it is no tensor of codes of L numbers.
        """
        if not isinstance(z, Tensor) or z.ndim < 1 or z.shape[-1] != self.latent_dim:
            found = f"of shape {tuple(z.shape)}" if isinstance(z, Tensor) else f"a {type(z).__name__}"
            raise ShapeError(
                f"{type(self).__name__}: z is {found}, expected a tensor of codes, of shape (..., {self.latent_dim})."
            )

    @abstractmethod
    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that q alone depends on."""

    def generative_parameters(self) -> Iterator[nn.Parameter]:
        """All others: those of p(x, z), and what q reads of it."""
        own = {id(parameter) for parameter in self.inference_parameters()}
        return (parameter for parameter in self.parameters() if id(parameter) not in own)

    @property
    def space(self) -> Space:
        """Where codes lie."""
        return EUCLIDEAN

    @property
    def data_shape(self) -> Shape:
        """Shape of one example."""
        return self.likelihood.data_shape

    @property
    def binary(self) -> bool:
        """True where x must be 0 or 1."""
        return self.likelihood.binary

    @property
    def denoising(self) -> bool:
        """True where a trace damages what q sees."""
        return self.corruption is not None and self.corruption.judged

    @property
    def starts(self) -> bool:
        """True where a part begins from data."""
        return any(getattr(part, "starts", False) for part in self.children())

    def corrupt(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """A damaged copy of x, as in training; x itself where the model does not de-noise."""
        return x if self.corruption is None else self.corruption(x)

    def require_kl(self) -> None:
        """Checks how the KL is computed.

        Raises:
            PartError: if there is no such way.
        """
        if self.kl not in get_args(KLMethod):
            raise PartError(f"{type(self).__name__}: kl is {self.kl!r}. {nearest(self.kl, get_args(KLMethod))}")

    def _batch(self, x: Tensor) -> tuple[Tensor, bool]:
        """x with a batch axis, in the precision of the weights, and whether it was one single item.

        Raises:
            ShapeError: if it is no tensor of floating-point numbers, or of another shape than the data.
        """
        shape = self.data_shape
        if not isinstance(x, Tensor):
            raise ShapeError(
                f"{type(self).__name__}: x is a {type(x).__name__}, expected a tensor. Use torch.as_tensor."
            )
        if not x.is_floating_point():
            raise ShapeError(
                f"{type(self).__name__}: x holds {x.dtype} numbers, expected floating-point ones on the scale of the "
                "data. Divide pictures by 255, use x.float() where x is 0 or 1, or take x from load_items."
            )
        x = x.to(next((weights.dtype for weights in self.parameters() if weights.dtype in PRECISIONS), x.dtype))
        if tuple(x.shape) == shape:
            return x.unsqueeze(0), True
        if tuple(x.shape[1:]) != shape:
            raise ShapeError(
                f"{type(self).__name__}: x is {tuple(x.shape)}, expected one item {shape} or a batch "
                f"(B, {', '.join(map(str, shape))}). Reshape x."
            )
        return x, False

    def _inferred(self, x: Tensor, q: Distribution | None, **named: Any) -> tuple[Tensor, Distribution]:
        """x with a batch axis, and q of it: of a damaged copy where the model de-noises, or the one that is given."""
        x, single = self._batch(x)
        if q is not None:
            return x, q.expand(torch.Size([1])) if single else q
        with per_example(0):
            given = self.corrupt(x)
        return x, self.infer(given, **named)

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "..."], draw: bool = False, **named: Any) -> Float[Tensor, "... L"]:
        """The code of each example: the mean of q(z|x), or a draw from it.

        Where q has no mean in closed form, what its posterior takes for one: of a flow where the mean of its base goes,
        of a refined posterior the mean that it starts from.
        """
        q = self.given(**named).infer(x)
        return q.sample() if draw else q.mean

    @torch.no_grad()
    def reconstruct(self, x: Float[Tensor, "..."], draw: bool = False, **named: Any) -> Float[Tensor, "..."]:
        """The mean of p(x|z) at the code of each example."""
        told = self.given(**named)
        return told.decode(told.encode(x, draw)).mean

    @checked
    @torch.no_grad()
    def sample(self, n: int, temperature: float = 1.0, draw: bool = False, **named: Any) -> Float[Tensor, "N ..."]:
        """n new examples: means of p(x|z) (or draws from it) for z from the prior.

        Args:
            n: How many.
            temperature: The prior's noise is multiplied by this: its deviations from the mean, within a component of a
                mixture those from the component's mean, in a flow the noise that the flow transforms, in a hierarchy
                that of each group; over codes and classes, log odds are divided by it.
            draw: Draw x from p(x|z) instead of taking its mean.
            **named: What the model must be told, by name: one value for all, or n of them; classes by their names, as
                :meth:`given` takes them.
        Raises:
            RefusedError: if there is no prior to draw from, or it has no noise that a temperature could change.
            ShapeError: if n is no number of examples, or there are neither one nor n values.
        """
        count = index(n) if hasattr(n, "__index__") else -1
        if count < 0:
            raise ShapeError(f"{type(self).__name__}: asked for {n!r} examples, expected a whole number, 0 or more.")
        n = count
        told = self.given(**named)
        p_z = told.p_z()
        z = tempered(p_z, torch.Size([] if p_z.batch_shape else [n]), temperature)
        if len(z) != n:
            raise ShapeError(f"{type(self).__name__}: told of {len(z)} examples, expected one value or {n}.")
        p_x = told.decode(z)
        return p_x.sample() if draw else p_x.mean


def late(distribution: Distribution, value: Tensor) -> Callable[[], Tensor]:
    """The log density there, when somebody wants it."""
    return lambda: distribution.log_prob(value)
