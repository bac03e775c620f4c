"""A `python` for the stages of clones: each script is a fork of a process that has imported torch before.

Such imports are most of what a miniature stage costs. The script gets its own arguments, folder, variables, streams,
and nothing of auxreid is imported for it. But DVC is not its parent: it runs as one that was started by hand.
"""

import importlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

IMPORTED = ("open_clip", "torch._dynamo", "albumentations", "pandas", "pyarrow.parquet", "matplotlib.figure")
IMPORTED += ("mpl_toolkits.mplot3d", "scipy.stats", "sklearn.metrics", "safetensors.torch", "pydantic", "cv2", "psutil")
NOT_BY_HAND = "DVC_STAGE"
PROGRAM = """#!/bin/sh
case "$1" in -*) exec {python} "$@" ;; esac
exec {python} -I -S {own} {socket} "$@"
"""


@contextmanager
def warm_python(folder: Path) -> Iterator[Path]:
    """Starts the process; yields a folder for PATH, whose `python` has it run a script in a fork."""
    (folder / "bin").mkdir()
    program, own, place = folder / "bin/python", Path(__file__).resolve(), folder / "socket"
    program.write_text(PROGRAM.format(python=sys.executable, own=own, socket=place))
    program.chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, str(own), str(place)], env=variables, stdout=subprocess.PIPE) as server:
        assert server.stdout.readline() == b"ready\n"
        try:
            yield program.parent
        finally:
            server.terminate()


def ask(place: str, script: list[str]) -> int:
    """The exit code of a script that the process at this socket forks."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(place)
        request = {"script": script, "folder": os.getcwd(), "variables": dict(os.environ)}
        socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
        code = int(connection.recv(16))
    return code if code >= 0 else 128 - code


def import_all() -> None:
    """In this process, so that no fork of it need do so."""
    for name in IMPORTED:
        importlib.import_module(name)


def serve(place: str) -> None:
    """Returns in a fork that is to run `sys.argv`, again and again; the process itself never does."""
    import_all()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(place)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    attend(connection)


def attend(connection: socket.socket) -> None:
    """Returns in the child that runs the script; its parent tells how it ended."""
    data, streams, *_ = socket.recv_fds(connection, 2**20, 3)
    request, child = json.loads(data), os.fork()
    if child:
        connection.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
        os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    connection.close()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update({name: value for name, value in request["variables"].items() if name != NOT_BY_HAND})
    sys.argv = request["script"]
    searched = [str(Path(sys.argv[0]).resolve().parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    sys.path[:1] = [path for path in searched if path]


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[1])
    import runpy

    runpy.run_path(sys.argv[0], run_name="__main__")
