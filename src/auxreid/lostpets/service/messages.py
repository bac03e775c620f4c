"""Messages to who posted a report, whose contact nobody sees: files in the folder outbox, for the operator."""

import json
from pathlib import Path

from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.schemas import MessageIn
from auxreid.lostpets.service.state import Service, now
from auxreid.lostpets.service.tokens import new_id
from auxreid.plumbing.base.files import finished_file

FOLDER = "outbox"


def forward(service: Service, report: str, said: MessageIn) -> None:
    """A message to the contact of a report, on the disk when this returns.

    Who merged a report of his own into it gets none: anybody may do that, and would read what is meant for another.

    Raises:
        Refused: it has no contact, or too many messages to it wait already.
    """
    row = service.store.row("select contact from contacts where report = ?", (report,))
    if row is None:
        raise Refused(409, "this report has no contact", "report")
    folder = folder_of(service.home)
    if sum(1 for _ in folder.glob(f"{report}-*.json")) >= service.settings.waiting_messages:
        raise Refused(429, "many messages to this report wait already; again later", "report", {"Retry-After": "3600"})
    message = {"to": row["contact"], "report": report, "text": said.text, "reply_to": said.reply_to, "sent": now()}
    with finished_file(folder / f"{report}-{new_id()}.json") as unfinished:
        unfinished.write_text(json.dumps(message, ensure_ascii=False), "utf-8")
        unfinished.chmod(0o600)


def forget_messages(home: Path, report: str) -> None:
    """Those to the contact of a report that have not left yet."""
    for path in folder_of(home).glob(f"{report}-*.json"):
        path.unlink(missing_ok=True)


def folder_of(home: Path) -> Path:
    """Readable for the operator alone."""
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
