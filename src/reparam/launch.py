"""What ``torchrun`` says about this process, read without loading torch."""

import os


def launched() -> bool:
    """True in a process that ``torchrun`` started beside others."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ


def speaks() -> bool:
    """True in the process that talks to people: a single one, or the first of those that ``torchrun`` started."""
    return not launched() or os.environ["RANK"] == "0"
