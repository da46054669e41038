"""``reparam doctor``."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from reparam.cli.console import print_json, print_line, print_table
from reparam.cli.options import REPORTING, Reports

_NOT_FOR_USERS = ("all", "dev", "docs")


def doctor(*, common: Reports = REPORTING) -> None:
    """Says what this machine has for training, and what is missing; exit code 1 if something must be mended."""
    from reparam.data import describe_sources
    from reparam.data.fetch import cache_folder

    given = os.environ.get("REPARAM_DATA")
    found: dict[str, Any] = {
        "reparam": version("reparam"),
        "python": f"{platform.python_version()} ({platform.system()} {platform.machine()})",
        **_torch(common.device),
        "extras": _extras(),
        "REPARAM_DATA": given,
        "cache": str(cache_folder()),
        "data_at_hand": [row["name"] for row in describe_sources() if row["at_hand"]],
        "folder": str(Path.cwd()),
    }
    found["problems"] = _problems(given, cache_folder())
    if common.json:
        print_json(found)
    else:
        print_table(("what", "here"), [(name, _text(value)) for name, value in found.items() if name != "problems"])
        print_line("\n".join(found["problems"]) or "Nothing needs to be mended.")
    if found["problems"]:
        sys.exit(1)


def _torch(device: str) -> dict[str, Any]:
    import torch

    from reparam.runs import choose_device

    chosen = choose_device(device)
    name = torch.cuda.get_device_name() if chosen.type == "cuda" else ""
    return {
        "torch": torch.__version__,
        "device": f"{chosen.type} {name}".strip(),
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} cores",
    }


def _extras() -> dict[str, dict[str, str | None]]:
    """Each extra of the package, its requirements, and their versions here."""
    extras: dict[str, dict[str, str | None]] = {}
    for line in requires("reparam") or ():
        found = re.match(r"""([\w.-]+).*;\s*extra == ['"](\w+)['"]""", line)
        if found and found[2] not in _NOT_FOR_USERS:
            extras.setdefault(found[2], {})[found[1]] = _version(found[1])
    return extras


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _problems(given: str | None, cache: Path) -> list[str]:
    problems = []
    if given and not Path(given).expanduser().is_dir():
        problems.append(f"REPARAM_DATA is {given}, which is no folder. Set it to the folder with the data sets.")
    home = next(folder for folder in (cache, *cache.parents) if folder.exists())
    for folder, purpose in ((Path.cwd(), "runs go there"), (home, "downloaded data go there")):
        if not _writable(folder):
            problems.append(f"{folder} cannot be written, and {purpose}. Change its permissions, or work elsewhere.")
    return problems


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{extra}: {_packages(packages)}" for extra, packages in value.items())
    if isinstance(value, list):
        return ", ".join(value)
    return "not set" if value is None else str(value)


def _packages(packages: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {found}" if found else f"{name} is missing" for name, found in packages.items())
