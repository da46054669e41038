"""Piano rolls as MIDI files, to be heard."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from torch import Tensor

LOWEST = 21  # the number of the lowest key, A0
TICKS = 24  # of a step, which is a quarter note
VELOCITY = 80
PAUSE = 4


def midi(rolls: Tensor, lengths: Tensor | None = None) -> bytes:
    """Pieces one after the other, with a pause between them, as a MIDI file of one track.

    Shapes:
        rolls: (N, keys, T), above 0.5 where a key sounds; a key that sounds on is not struck again
        lengths: (N,), steps of each; what lies behind is not played
    Source:
        Standard MIDI files 1.0 (MIDI Manufacturers Association), format 0.
    """
    steps = [rolls.shape[-1]] * len(rolls) if lengths is None else lengths.tolist()
    track = b"".join(_events(rolls, steps)) + b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _events(rolls: Tensor, lengths: Sequence[int]) -> Iterator[bytes]:
    """Keys that begin and end, each with the ticks since the event before."""
    waited = 0
    for roll, length in zip(rolls, lengths, strict=True):
        sounding: set[int] = set()
        steps = [set(step.gt(0.5).nonzero().flatten().tolist()) for step in roll.T[:length].cpu()]
        last = max((number for number, keys in enumerate(steps) if keys), default=-1)
        for keys in [*steps[: last + 1], set()]:
            for status, changed in ((0x80, sounding - keys), (0x90, keys - sounding)):
                for key in sorted(changed):
                    yield _length(waited) + bytes([status, LOWEST + key, VELOCITY if status == 0x90 else 0])
                    waited = 0
            sounding = keys
            waited += TICKS
        waited += PAUSE * TICKS


def _length(ticks: int) -> bytes:
    """A number as MIDI writes it: seven bits a byte, the highest bit set in all but the last."""
    found = [ticks & 0x7F]
    while ticks := ticks >> 7:
        found.append(ticks & 0x7F | 0x80)
    return bytes(reversed(found))
