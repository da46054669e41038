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


def trusted() -> bool:
    """True within such a block."""
    return _TRUSTED.get()


def is_path(kind: str) -> bool:
    """True for ``package.module:Class``, the name of a class that is not in the table of parts."""
    return MARK in kind


def path_of(cls: type) -> str:
    """The import path of a class, under which :func:`imported` finds it again.

    Raises:
        PartError: if it stands inside a function, a script or a notebook, where nobody can import it.
    """
    if "<" in cls.__qualname__ or cls.__module__ == "__main__":
        where = "inside a function" if "<" in cls.__qualname__ else "in a script or a notebook"
        raise PartError(f"{cls.__name__} is defined {where}, where nobody finds it again. Define it in a module.")
    return f"{cls.__module__}{MARK}{cls.__qualname__}"


def imported(path: str) -> type:
    """The class behind an import path, such as ``package.module:Class``.

    Raises:
        RunError: if the caller did not say that code may be imported, there is no such class, or it is no
            ``nn.Module``.
    """
    shown = path[:200]
    if not trusted():
        raise RunError(
            f"{shown!r} is code that does not come with reparam. If you trust it, and who wrote this, pass "
            "trust_code=True, on the command line --trust-code."
        )
    module, _, name = path.partition(MARK)
    try:
        found: object = importlib.import_module(module)
        for word in name.split("."):
            found = getattr(found, word)
    except (Exception, SystemExit) as error:  # a module may raise anything, or be a script
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{shown!r} cannot be imported ({type(error).__name__}: {reason}).") from error
    kind: type = importlib.import_module("torch.nn").Module  # the command line reads this file before torch
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise RunError(f"{shown!r} is no class of torch modules. Name a class that is, as package.module:Class.")
    return found
