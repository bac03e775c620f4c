"""Posting JSON to addresses that users name: public ones over http or https alone, the one that was checked."""

import http.client
import ipaddress
import json
import socket
import ssl
from contextlib import suppress
from threading import Timer
from urllib.parse import SplitResult, urlsplit

from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.settings import Settings

FIELD = "webhook"
SCHEMES = {"http": 80, "https": 443}
GIVEN_OUT = ipaddress.ip_network("2000::/3")  # of IPv6, all that is; fec0::1 and ::127.0.0.1 count as global as well


class NotDelivered(Exception):
    """An address that did not take what was posted."""


def check_address(address: str, settings: Settings) -> SplitResult:
    """What can be told without asking anybody. Raises Refused."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise Refused(422, "no address", FIELD) from None
    if parts.scheme not in SCHEMES or not parts.hostname or parts.username is not None or port == 0:
        raise Refused(422, "an http or https address is needed, without a user's name", FIELD)
    if any(not 32 < ord(letter) < 127 for letter in address):
        raise Refused(422, "an address of plain letters is needed", FIELD)
    if not settings.private_webhooks and not _may_be_public(parts.hostname):
        raise Refused(403, "an address of this machine or of a private network", FIELD)
    return parts


def deliver(address: str, content: dict, settings: Settings) -> None:
    """Post it once. Redirects are not followed, and the name is resolved once: to what was checked it connects.

    Raises:
        NotDelivered: says why.
    """
    try:
        parts = check_address(address, settings)
        port = parts.port or SCHEMES[parts.scheme]
        connection = _Checked(parts, public_address(parts.hostname, port, settings), port, settings.webhook_seconds)
    except (Refused, OSError) as error:
        raise NotDelivered(type(error).__name__) from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "auxreid"}
    late = Timer(settings.webhook_seconds, connection.cut)  # who sends a byte now and then is cut off as well
    late.start()
    try:
        connection.request("POST", path, json.dumps(content).encode(), headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotDelivered(type(error).__name__) from None
    finally:
        late.cancel()
        connection.close()
    if not 200 <= status < 300:
        raise NotDelivered(f"status {status}")


def public_address(host: str, port: int, settings: Settings) -> str:
    """One that the name leads to. Raises NotDelivered if any of them is private: the name is not to be trusted."""
    found = [place[4][0] for place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not settings.private_webhooks and not all(map(is_public, found)):
        raise NotDelivered("leads to this machine or to a private network")
    return found[0]


def is_public(address: str) -> bool:
    """Whether it is in the open Internet; an IPv4 address within IPv6 counts as itself."""
    try:
        place = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if place.version == 6:
        inner = place.ipv4_mapped or place.sixtofour or (place.teredo and place.teredo[1])
        low = ipaddress.IPv4Address(int(place) & 0xFFFFFFFF) if place in ipaddress.ip_network("64:ff9b::/96") else None
        if inner or low:
            return is_public(str(inner or low))
        if place not in GIVEN_OUT:
            return False
    return place.is_global and not place.is_multicast


def _may_be_public(host: str) -> bool:
    """By how it is written; a name is looked up when it is called."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        try:  # 127.1, 0x7f000001, 2130706433
            return is_public(socket.inet_ntoa(socket.inet_aton(name)))
        except OSError:
            return True
    return is_public(name)


class _Checked(http.client.HTTPConnection):
    """A connection to an address that was checked, under the name that it was asked by."""

    def __init__(self, parts: SplitResult, address: str, port: int, seconds: float):
        super().__init__(parts.hostname or "", port, timeout=seconds)
        self._address, self._secure = address, parts.scheme == "https"

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """Whoever waits for it has an error."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
