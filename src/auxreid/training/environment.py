"""How many processes train together, and which of them this is: matters of the machine, from the environment alone."""

import os

from auxreid.plumbing.base.errors import ConfigError

PROCESSES = "AUXREID_PROCESSES"  # a number, or "gpus"
UNDER_TORCHRUN = "TORCHELASTIC_RUN_ID"  # others set RANK and WORLD_SIZE as well, and mean something else by them


def under_torchrun() -> bool:
    """Whether torchrun, or our launcher, started this process."""
    return UNDER_TORCHRUN in os.environ


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if under_torchrun() else 1


def rank() -> int:
    """The number of this process, from 0; process 0 keeps the record and writes the outputs."""
    return int(os.environ["RANK"]) if under_torchrun() else 0


def asked_processes() -> int:
    """What AUXREID_PROCESSES asks for: 1 by default; "gpus" is one for each GPU, or 1 where there is none.

    Raises:
        ConfigError: it is neither "gpus" nor a number from 1 on.
    """
    asked = os.environ.get(PROCESSES, "1")
    if asked == "gpus":
        import torch

        return max(1, torch.cuda.device_count())
    if not asked.isdecimal() or int(asked) < 1:
        raise ConfigError(f"environment variable {PROCESSES} = {asked!r}: a number from 1 on or 'gpus' is needed")
    return int(asked)
