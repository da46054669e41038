"""What a step frees stays with the process."""

import platform
import subprocess
import sys

import pytest

STEPS = 20
# the gradients of this model alone are 600 pages of 4 KiB; some faults come from elsewhere
MOST_FAULTS = 60
PROGRAM = f"""
import resource
import torch
from reparam.objectives import ELBO
from reparam.recipes import build
from reparam.training import Trainer, TrainSettings
from tests.contracts.members import tiny_data

torch.set_num_threads(1)
data = tiny_data("binary", (1, 28, 28), (64, 8, 8))
model = build("vae", data, network={{"kind": "mlp", "hidden_dims": [400]}})
trainer = Trainer(model, data, ELBO(), TrainSettings(epochs=1000, batch_size=64))
trainer.take_steps({STEPS})
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
trainer.take_steps({STEPS})
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of glibc is meant")
@pytest.mark.slow
def test_a_step_takes_no_fresh_pages() -> None:
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(found.stdout) < MOST_FAULTS * STEPS
