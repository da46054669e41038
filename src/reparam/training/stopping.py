"""Stopping between two steps: Ctrl-C and SIGTERM wait until the state is whole and saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import torch

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def asks_to_stop(answer: object) -> bool:
    """True of the truth True, of Python, NumPy or PyTorch; whatever else a function gives back means nothing."""
    kind = getattr(answer, "dtype", type(answer))
    return (kind == torch.bool or kind == np.bool_ or kind is bool) and bool(answer)


class StopRequest:
    """Remembers the first signal that came."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    def watch(self) -> None:
        """Takes the signals over."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._receive)

    def release(self) -> None:
        """Gives the signals back to whom they belonged."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self:  # asked twice: at once, then
            self.release()
            signal.raise_signal(number)
        self.signal = number


@contextmanager
def stop_request(wanted: bool = True) -> Iterator[StopRequest]:
    """Watches for signals during a block, which should end soon after one came; then the signal takes its usual way.

    Args:
        wanted: False leaves signals alone, as does any thread but the main one.
    """
    request = StopRequest()
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield request
        return
    request.watch()
    try:
        yield request
    finally:
        request.release()
    if request.signal is not None:
        signal.raise_signal(request.signal)
