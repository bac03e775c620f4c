"""Tokens that are shown once: 256 random bits, of which a hash is kept."""

import hashlib
import hmac
import secrets

BYTES = 32


def new_token() -> str:
    """To be shown to the user, once."""
    return secrets.token_urlsafe(BYTES)


def hashed(token: str) -> str:
    """What is kept of it. The token is random in full, so that a plain hash cannot be searched through."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def fits(token: str | None, kept: str) -> bool:
    """Whether this is the token of which that hash is kept; takes as long either way."""
    return hmac.compare_digest(hashed(token or ""), kept)


def new_id() -> str:
    """An identifier that cannot be guessed from another."""
    return secrets.token_hex(8)
