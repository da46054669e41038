"""Settings on the command line: ``--model.latent_dim 8`` becomes ``{"model": {"latent_dim": 8}}``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reparam.errors import ConfigError, nearest
from reparam.reading import parse_yaml

SECTIONS = ("data", "model", "objective", "train")
COLUMNS = (["data", "columns"], ["data", "label_column"], ["data", "group_column"])  # names, such as `no` or 007
VERBS = ("train", "resume")
CARRIER = "--SECTION.KEY"
ORIGIN = "settings"
_DOTTED = re.compile(r"--([^=.]*\.[^=]*)(?:=(.*))?", re.DOTALL)
_OWN_FLAGS = {
    "data.source": "--data",
    "train.epochs": "--epochs",
    "train.max_minutes": "--max-minutes",
    "seed": "--seed",
}


def gathered(argv: Sequence[str]) -> list[str]:
    """The words of a verb that takes settings, with each dotted option carried by one that the parser knows.

    ``--model.latent_dim 8`` and ``--model.latent_dim=8`` both become ``--SECTION.KEY=model.latent_dim=8``.

    Raises:
        ConfigError: if a value is missing.
    """
    tokens = list(argv)
    if not tokens or tokens[0] not in VERBS:
        return tokens
    result: list[str] = []
    while tokens:
        token = tokens.pop(0)
        found = _DOTTED.fullmatch(token)
        if found is None:
            result.append(token)
            continue
        value = found[2]
        if value is None:
            if not tokens or tokens[0].startswith("--"):
                raise ConfigError(f"{token} needs a value, as in: {token} VALUE")
            value = tokens.pop(0)
        result.append(f"{CARRIER}={found[1]}={value}")
    return result


def nested(given: Iterable[str], verb: str = "train") -> dict[str, Any]:
    """``["model.latent-dim=8"]`` as settings by section.

    Raises:
        ConfigError: if there is no such section.
    """
    result: dict[str, Any] = {}
    for text in given:
        name, _, value = text.partition("=")
        keys = name.replace("-", "_").split(".")
        put(result, keys, as_written(value, keys) if keys in COLUMNS else value_of(value), name, verb)
    return result


def as_written(text: str, keys: Sequence[str]) -> Any:
    """A name as it is written, or several with commas between them, which may be a list in YAML, too."""
    if keys[-1] != "columns":
        return text
    return value_of(text) if text.strip().startswith("[") else text.split(",")


def put(settings: dict[str, Any], keys: Sequence[str], value: Any, name: str, verb: str) -> None:
    """Sets one value; a part that was named before becomes the kind of its settings.

    Raises:
        ConfigError: if the first key is no section, or a key is empty.
    """
    if keys[0] not in SECTIONS:
        raise ConfigError(f"{verb} has no option '--{name}'. {_other_section(keys)}")
    if not all(keys):
        raise ConfigError(f"--{name}: expected a name on each side of every dot, as in --model.latent_dim 8.")
    place = settings
    for key in keys[:-1]:
        inner = place.get(key, {})
        place[key] = inner if isinstance(inner, dict) else {"kind": inner}
        place = place[key]
    old = place.get(keys[-1])
    place[keys[-1]] = old | {"kind": value} if isinstance(old, dict) and isinstance(value, str) else value


def _other_section(keys: Sequence[str]) -> str:
    said = nearest(keys[0], SECTIONS)
    if not said.startswith("Did"):
        return f"Settings begin with {', '.join(f'--{section}.' for section in SECTIONS)}"
    meant = said.split("'")[1]
    return f"Did you mean '--{'.'.join([meant, *keys[1:]])}'?"


def value_of(text: str) -> Any:
    """A YAML value; ``16,32`` is a list too, and ``1e-3`` a number.

    Raises:
        ConfigError: if it is not YAML.
    """
    if "," in text and text.strip()[:1] not in "[{\"'":
        return [value_of(part) for part in text.split(",") if part.strip()]
    try:
        value = parse_yaml(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no value: quote it, or close its brackets.") from None
    if isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 takes 1e-3 for a text
        except ValueError:
            return value
    return value


@contextmanager
def origins(flags: Mapping[str, Any], file: Path | None) -> Iterator[None]:
    """Names in each complaint about the settings where the faulty one came from: an option, or the file.

    Raises:
        ConfigError: with the better words.
    """
    try:
        yield
    except ConfigError as error:
        lines = [_named(line, flags, file) for line in str(error).splitlines()]
        raise ConfigError("\n".join(lines)) from None


def _named(line: str, flags: Mapping[str, Any], file: Path | None) -> str:
    origin, _, rest = line.partition(": ")
    key, _, said = rest.partition(": ")
    if origin != ORIGIN or not said:
        return line
    if _set_by(flags, key.split(".")):
        return f"{_OWN_FLAGS.get(key, f'--{key}')}: {said}"
    return f"{file or ORIGIN}: {rest}"


def _set_by(flags: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """True if the options set this key, or something above or below it."""
    place: Any = flags
    for key in keys:
        if not isinstance(place, Mapping):
            return True
        if key not in place:
            return False
        place = place[key]
    return True
