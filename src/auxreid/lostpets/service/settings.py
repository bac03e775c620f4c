"""What the service is set to: limits, times and names."""

from dataclasses import dataclass

MEGABYTE = 2**20


@dataclass(frozen=True)
class Settings:
    """Limits and times of the service, with what it does without being told otherwise."""

    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")  # names under which it answers
    upload_bytes: int = 10 * MEGABYTE  # of one photograph
    upload_pixels: int = 64_000_000
    photos: int = 6  # of one query or report
    stored_side: int = 2048  # pixels; larger photographs are kept at this size
    kept_seconds: float = 3600.0  # query photographs and searches that nothing keeps
    requests_a_minute: int = 600  # of one client
    changes_a_minute: int = 120  # of one client: uploads, reports, messages, feedback
    searches_at_once: int = 32  # running and waiting; one more is told to come back
    webhook_seconds: float = 10.0
    webhook_tries: int = 5
    webhook_pause: float = 30.0  # seconds before the second try; doubled for each further one
    private_webhooks: bool = False  # addresses of this machine and of private networks may be called
    messages_to: str | None = None  # address that messages are posted to; None: files in the folder outbox
    saved_searches: int = 10_000
    waiting_messages: int = 100  # to one report, that have not left the outbox
    free_bytes: int = 512 * MEGABYTE  # of the disk, which photographs leave to all else

    @property
    def body_bytes(self) -> int:
        """Of one request: all its photographs and a megabyte of text."""
        return self.photos * self.upload_bytes + MEGABYTE
