"""Several processes of one group, forked from the test's own."""

import json
import os
import socket
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from reparam.processes import joined


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def in_processes(world: int, work: Callable[[], Any], folder: Path, join: bool = True) -> list[Any]:
    """Runs ``work`` in each process of a gloo group, or of one that it joins itself; returns what each gave."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    children = [_forked(rank, world, port, work, folder, join) for rank in range(world)]
    for child in children:
        os.waitpid(child, 0)
    answers = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(world)]
    failed = [answer["failed"] for answer in answers if "failed" in answer]
    if failed:
        raise AssertionError("\n".join(failed))
    return [answer["gave"] for answer in answers]


def _forked(rank: int, world: int, port: int, work: Callable[[], Any], folder: Path, join: bool) -> int:
    child = os.fork()
    if child:
        return child
    answer: dict[str, Any] = {"failed": f"process {rank} said nothing"}
    try:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        with joined(torch.device("cpu")) if join else nullcontext():
            answer = {"gave": work()}
    except BaseException:
        answer = {"failed": traceback.format_exc()}
    finally:
        (folder / f"{rank}.json").write_text(json.dumps(answer))
        os._exit(0)
