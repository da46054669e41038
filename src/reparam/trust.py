"""Code of the user's own, named by its import path, which is imported only where the caller trusts it."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from reparam.errors import PartError, RunError

_TRUSTED: ContextVar[bool] = ContextVar("trusted", default=False)
MARK = ":"


@contextmanager
def trusting(code: bool = True) -> Iterator[None]:
    """Within the block, classes named by import path may be imported, if ``code`` or a block around it says so."""
    token = _TRUSTED.set(_TRUSTED.get() or code)
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def is_path(kind: str) -> bool:
    """True for ``package.module:Class``, the name of a class that is not in the table of parts."""
    return MARK in kind


def path_of(cls: type) -> str:
    """The import path of a class, under which :func:`imported` finds it again.

    Raises:
        PartError: if it stands inside a function, where nobody can import it.
    """
    if "<" in cls.__qualname__:
        raise PartError(
            f"{cls.__name__} is defined inside a function, where nobody finds it again. Define it in a module."
        )
    return f"{cls.__module__}{MARK}{cls.__qualname__}"


def imported(path: str) -> type:
    """The class behind an import path, such as ``package.module:Class``.

    Raises:
        RunError: if the caller did not say that code may be imported.
        PartError: if there is no such class, or it is no ``nn.Module``.
    """
    shown = path[:200]
    if not _TRUSTED.get():
        raise RunError(
            f"{shown!r} is code that does not come with reparam. If you trust it, and who wrote this, pass "
            "trust_code=True, on the command line --trust-code."
        )
    module, _, name = path.partition(MARK)
    try:
        found: object = importlib.import_module(module)
        for word in name.split("."):
            found = getattr(found, word)
    except Exception as error:  # a stranger's module may raise anything while it is imported
        reason = " ".join(str(error).split())[:200]
        raise PartError(f"{shown!r} cannot be imported ({type(error).__name__}: {reason}).") from error
    kind: type = importlib.import_module("torch.nn").Module  # the command line reads this file before torch
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise PartError(f"{shown!r} is no class of torch modules. Name a class that is, as package.module:Class.")
    return found
