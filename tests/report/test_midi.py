"""Music as MIDI, read back by the rules of the format."""

import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reparam.report.midi import LOWEST, TICKS, midi


def read(content: bytes) -> list[tuple[int, int, bool]]:
    """(tick, key, whether it begins) of every event of a file of one track."""
    assert content[:8] == b"MThd" + struct.pack(">I", 6)
    assert struct.unpack(">HHH", content[8:14]) == (0, 1, TICKS)
    assert content[14:18] == b"MTrk"
    (size,) = struct.unpack(">I", content[18:22])
    track = content[22:]
    assert len(track) == size
    at, now, found = 0, 0, []
    while True:
        wait = 0
        while True:
            wait = wait << 7 | track[at] & 0x7F
            at += 1
            if track[at - 1] < 0x80:
                break
        now += wait
        if track[at] == 0xFF:
            assert track[at:] == b"\xff\x2f\x00"
            return found
        found.append((now, track[at + 1] - LOWEST, track[at] == 0x90))
        at += 3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.02, 0.3, 0.9]), st.integers(1, 60))
def test_what_is_read_back_is_what_was_played(seed: int, share: float, steps: int) -> None:
    roll = (torch.rand(88, steps, generator=torch.Generator().manual_seed(seed)) < share).float()
    heard, on = torch.zeros_like(roll), torch.zeros(88, dtype=torch.bool)
    events = read(midi(roll[None]))
    for step in range(steps):
        for _, key, begins in (event for event in events if event[0] == step * TICKS):
            on[key] = begins
        heard[:, step] = on
    assert torch.equal(heard, roll)
    assert sum(begins for _, _, begins in events) == sum(not begins for _, _, begins in events)


def test_a_long_silence_and_several_pieces() -> None:
    one: Tensor = torch.zeros(2, 88, 100)
    one[0, 3, 99] = one[1, 7, 0] = 1
    assert [(tick // TICKS, key) for tick, key, begins in read(midi(one)) if begins] == [(99, 3), (105, 7)]
    assert read(midi(torch.zeros(1, 88, 5))) == []


def test_a_sound_that_goes_on_is_struck_once() -> None:
    roll = torch.zeros(1, 88, 4)
    roll[0, 10, :3] = 1
    assert read(midi(roll)) == [(0, 10, True), (3 * TICKS, 10, False)]


@pytest.mark.parametrize("ticks", [0, 127, 128, 16_384, 100_000])
def test_waits_of_any_length(ticks: int) -> None:
    roll = torch.zeros(1, 88, ticks // TICKS + 1)
    roll[0, 0, -1] = 1
    assert read(midi(roll))[0][0] == ticks // TICKS * TICKS


def test_what_lies_behind_the_end_is_not_played() -> None:
    rolls = torch.ones(2, 1, 4)
    assert read(midi(rolls, torch.tensor([2, 1]))) == [
        (0, 0, True),
        (2 * TICKS, 0, False),
        (7 * TICKS, 0, True),
        (8 * TICKS, 0, False),
    ]
