"""A local Ray cluster of two nodes with a core each, on 127.0.0.1 alone, and a fan-out that runs beside the test."""

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

STARTED = re.compile(r"\] (?P<stage>\S+): started on \S+ \(node (?P<node>\w+), process (?P<pid>\d+)\)")
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on 127.0.0.1 alone
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),  # Ray reads it once in a process
    "RAY_TMPDIR": "/tmp",  # its sockets' paths must be short
    "RAY_worker_niceness": "0",
    "RAY_health_check_period_ms": "1000",  # a lost node is noticed soon
}


@contextmanager
def two_nodes(environment: Mapping[str, str]) -> Iterator:
    """A ray.cluster_utils.Cluster, whose nodes have these variables. Ray reads them at import, hence this order."""
    before = dict(os.environ)
    os.environ.update({**environment, **SETTINGS})
    from ray.cluster_utils import Cluster

    node = {
        "num_cpus": 1,
        "object_store_memory": 80 * 2**20,
        "include_dashboard": False,
        "node_ip_address": "127.0.0.1",
    }
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        cluster.add_node(**{name: value for name, value in node.items() if name != "include_dashboard"})
        yield cluster
    finally:
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)


class FanOut:
    """`fan_out` in a process of its own, as the command line runs it, whose lines can be waited for."""

    def __init__(self, root: Path, command: list[str], environment: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-u", *command],
            cwd=root,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def started(self, stage: str) -> tuple[str, int]:
        """Node and process of a stage's last start, which is waited for."""
        return wait_for(lambda: self._started(stage), self)

    def _started(self, stage: str) -> tuple[str, int] | None:
        found = [match for match in map(STARTED.search, list(self.lines)) if match and match["stage"] == stage]
        return (found[-1]["node"], int(found[-1]["pid"])) if found else None

    def wait(self) -> int:
        code = self.process.wait(timeout=600)
        self.reader.join()
        return code

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def counts(self) -> dict[str, tuple[int, ...]]:
        """The last table: how often each stage ran, was restored, failed and was broken off."""
        rows = [line.split("│") for line in self.lines if line.startswith("│")]
        return {row[1].strip(): tuple(int(cell.strip() or 0) for cell in row[3:7]) for row in rows}


def wait_for(found, fan_out: FanOut, seconds: float = 300):
    """What `found` returns once it is true; fails with the fan-out's output if that has ended or time has run out."""
    until = time.monotonic() + seconds
    while not (result := found()):
        assert fan_out.process.poll() is None and time.monotonic() < until, fan_out.output
        time.sleep(0.2)
    return result
