"""An SSH server on 127.0.0.1 that offers files alone, to one user with a password or a key."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

USER = "member"


@dataclass(frozen=True)
class SftpServer:
    port: int
    password: str
    keyfile: Path


class _OneUser(asyncssh.SSHServer):
    def __init__(self, password: str) -> None:
        self._password = password

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, self._password)


@contextmanager
def sftp_server(folder: Path, password: str = "correct horse") -> Iterator[SftpServer]:
    """A server for as long as the block lasts; `folder` gets the user's key. Paths are those of this machine."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "key")
    key.write_public_key(folder / "authorized")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _OneUser(password),
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=str(folder / "authorized"),
            sftp_factory=True,
        )

    listener = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield SftpServer(listener.get_port(), password, folder / "key")
    finally:
        loop.call_soon_threadsafe(listener.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
