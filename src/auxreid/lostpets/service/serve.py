"""Serving the application until it is told to end."""

import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from auxreid.lostpets.home_folder import home_folder
from auxreid.lostpets.service.app import create_app
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.log import log_to_stderr
from auxreid.lostpets.service.settings import Settings
from auxreid.lostpets.service.webhooks import check_address
from auxreid.plumbing.base.errors import ConfigError

LOCK = ".serving"
EVERYWHERE = ("0.0.0.0", "::", "")
WAITING = 128  # connections
LAST_ANSWERS = 10  # seconds for what is being answered when the service is told to end


def names_of(host: str, more: Sequence[str]) -> tuple[str, ...]:
    """The names that the service answers under.

    Raises:
        ConfigError: it is bound to every address, and no name is given.
    """
    if host in EVERYWHERE and not more:
        raise ConfigError(f"--host {host}: name what it is to answer under, as --allow-host pets.example.org")
    own = [] if host in EVERYWHERE else [f"[{host}]" if ":" in host else host]
    return tuple(dict.fromkeys([*Settings.hosts, *own, *more]))


@contextmanager
def alone_in(home: Path) -> Iterator[None]:
    """Raises ConfigError where another service has the home folder, or it cannot be made."""
    with (home_folder(home) / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{home}: is served by another process; end that one, or name another --home") from None
        yield


def bound(host: str, port: int) -> socket.socket:
    """A socket. Raises ConfigError if the port is taken, or the address is not of this machine."""
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        reason = error.strerror or error
        raise ConfigError(f"--port {port}: cannot be opened on {host} ({reason}); name another one") from None
    return taken


def serve_study(
    home: Path,
    dataset: str | None,
    host: str,
    port: int,
    names: Sequence[str],
    settings: Settings,
    detector: Path | None = None,
) -> None:
    """Serve the search that a study's stages have made, until told to end.

    Args:
        detector: weights by which photographs are cropped to their dogs.

    Raises:
        ConfigError, DataError: the port is taken, the folder is served already, or as `open_study`.
    """
    settings = replace(settings, hosts=names_of(host, names))
    if settings.messages_to is not None:
        try:
            check_address(settings.messages_to, replace(settings, private_webhooks=True))
        except Refused as error:
            raise ConfigError(f"--messages-to: {error.error}") from None
    with bound(host, port) as taken, alone_in(home):
        import torch

        from auxreid.lostpets.dog_crops import dog_crops, no_crops
        from auxreid.lostpets.service.opening import open_study

        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(len(os.sched_getaffinity(0)))  # of a container too
        find_dogs = no_crops if detector is None else dog_crops(detector)
        opened = open_study(home, dataset, find_dogs=find_dogs)
        serve(create_app(opened.engine, home, settings, opened.larger), taken)


def serve(app: FastAPI, taken: socket.socket) -> None:
    """Until SIGTERM or Ctrl-C; prints the address first."""
    host, port = taken.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    log_to_stderr()
    taken.listen(WAITING)  # from now on, so that whoever reads the address can ask
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it would tell addresses and queries
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=LAST_ANSWERS,
    )
    print(f"find my dog: http://{name}:{port}/ (the API is described in /openapi.json); Ctrl-C ends it", flush=True)
    if not ipaddress.ip_address(host).is_loopback:
        print("it can be reached from other machines: have a proxy with TLS before it", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[taken])
