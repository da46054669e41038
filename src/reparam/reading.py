"""Reads small files that others may have written: they end, they fit the memory, and damage is an ordinary error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 32 << 20
MOST_LEVELS = 50
LONGEST_VALUE = 200
OPENING = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


def read_text(path: Path, most: int = MOST_BYTES, errors: str = "strict") -> str:
    """The text in a file.

    Raises:
        OSError: if it cannot be read, or is no regular file: a pipe may never answer, a device never end.
        ValueError: if it is no UTF-8, or larger than anything we write.
    """
    if path.exists() and not path.is_file():
        raise OSError(0, "it is no regular file", str(path))
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"it has {size:,} bytes, expected at most {most:,}")
    return path.read_text(encoding="utf-8", errors=errors)


def parse_json(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: if it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_yaml(text: str) -> Any:
    """What a YAML text says.

    Raises:
        ValueError: if it is no YAML, is nested too deeply, or has aliases.
    """
    try:
        _require_plain(text)
        return yaml.safe_load(text)
    except Exception as error:  # what a scalar says (a date, a number) is read by Python, which fails in many ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"it is not YAML: {reason[:300]}") from None


def switched(value: Any) -> Any:
    """``on`` and ``off``, which YAML reads as true and false, as the words again; any other value as it is."""
    return ("off", "on")[value] if isinstance(value, bool) else value


def _require_plain(text: str) -> None:
    """Refuses a few words that stand for more than any memory holds, and depth, which takes the scanner quadratic time.

    Raises:
        ValueError: for aliases, and for depth.
    """
    depth = 0
    for token in yaml.scan(text, yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken):
            raise ValueError("aliases are not read, write out what they stand for")
        depth += isinstance(token, OPENING) - isinstance(token, CLOSING)
        if depth > MOST_LEVELS:
            raise ValueError("it is nested too deeply")


def read_json(path: Path) -> Any:
    """What a JSON file says.

    Raises:
        OSError: as :func:`read_text`.
        ValueError: if it is no JSON.
    """
    return parse_json(read_text(path))


def shown(value: Any) -> str:
    """A wrong value, as it is written in Python, or the start of it."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a huge number"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
