"""Two processes on this machine, as torchrun would have started them, that call a function side by side."""

import os
import socket
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

TIMEOUT_S = 300


class ProcessPair:
    """Processes 0 and 1 of 2. Imports are paid once, however many functions they call."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        common = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        self.pools = [
            ProcessPoolExecutor(
                1, get_context("spawn"), _enter, (common | {"RANK": str(one), "LOCAL_RANK": str(one)}, os.getcwd())
            )
            for one in range(2)
        ]

    def call(self, function: Callable, *arguments: Any) -> list[Any]:
        """What `function(*arguments)` returns in process 0 and in process 1; both run at a time."""
        futures = [pool.submit(function, *arguments) for pool in self.pools]
        return [future.result(TIMEOUT_S) for future in futures]

    def close(self) -> None:
        for pool in self.pools:
            for process in (pool._processes or {}).values():
                process.kill()  # one that waits for a peer that failed would never end
            pool.shutdown(wait=False, cancel_futures=True)


def _enter(environment: dict[str, str], folder: str) -> None:
    import torch

    os.environ.update(environment)
    os.chdir(folder)
    torch.set_num_threads(1)
