"""What users say of answers, appended to feedback.jsonl with the raw evidence of each pair."""

import json
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from auxreid.lostpets.answer import Found
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.recent import Recent, query_and_looks, recent_search
from auxreid.lostpets.service.schemas import FeedbackIn
from auxreid.lostpets.service.state import Service, now
from auxreid.plumbing.base.files import write_text
from auxreid.search.looks import Looks

FILE = "feedback.jsonl"
DIGITS = 6
BLOCK = 2**16  # bytes


def note(service: Service, said: FeedbackIn) -> None:
    """Append one line for each dog that is spoken of: the one that is named, or all that were answered.

    Raises:
        Refused: the search is not kept any more, or its answer has no such dog.
    """
    recent = recent_search(service, said.search)
    dogs = [dog for dog in recent.answer.dogs if said.dog in (None, dog.dog)]
    if said.dog is not None and not dogs:
        raise Refused(404, "that search's answer has no such dog", "dog")
    _, looks = query_and_looks(service, recent)
    looks = looks and looks.pooled()
    lines = [_line(service, said, recent, dog, looks) for dog in dogs]
    with service.writer.turn():
        append(service.home / FILE, [line for line in lines if line is not None])


def append(path: Path, lines: list[dict]) -> None:
    """On the disk when it returns. A line that a kill cut off was not acknowledged and is taken away first."""
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    with path.open("ab+") as file:
        file.truncate(_whole(file))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o600)


def _whole(file: BinaryIO) -> int:
    """Up to where the lines are whole, in bytes."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - BLOCK)
        file.seek(start)
        if (found := file.read(end - start).rfind(b"\n")) >= 0:
            return start + found + 1
        end = start
    return 0


def read(path: Path) -> list[dict]:
    """All lines but those that a kill cut off."""
    if not path.exists():
        return []
    return [line for line in map(_parsed, path.read_text("utf-8", "replace").splitlines()) if line is not None]


def forget(path: Path, report: str) -> None:
    """Leave out all evidence of a report; the caller has the writer's turn."""
    if not path.exists():
        return
    kept = [line for line in read(path) if not _is_of(line, report)]
    write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
    path.chmod(0o600)


def _is_of(line: dict, report: str) -> bool:
    """Also where the photograph was merged into another report, which the line then names."""
    return report in (line.get("report"), line.get("query_report")) or str(line.get("frame")).startswith(f"{report}-")


def _line(service: Service, said: FeedbackIn, recent: Recent, dog: Found, looks: Looks | None) -> dict | None:
    """The pair as a calibration needs it: similarity and both probability vectors, before any weight."""
    if service.record(dog.photo) is None:  # deleted since
        return None
    other = service.engine.base.looks([dog.photo])
    asked_by = service.store.row("select report from report_photos where frame = ?", (recent.similar_to,))
    return {
        "day": now()[:10],
        "search": said.search,
        "verdict": said.verdict,
        "dog": dog.dog,
        "frame": dog.photo,
        "report": dog.report,
        "query_report": asked_by and asked_by["report"],
        "networks": service.model,
        "model": recent.answer.model,
        "score": round(dog.score, DIGITS),
        "similarity": None if looks is None else round(float(looks.embedding[0] @ other.embedding[0]), DIGITS),
        "query": None if looks is None else _probabilities(looks),
        "found": _probabilities(other),
        "stated": recent.answer.stated,
        "terms": [term.model_dump() for term in dog.terms],
    }


def _probabilities(looks: Looks) -> dict[str, list[float]]:
    return {name: np.round(values[0].astype(float), DIGITS).tolist() for name, values in looks.probabilities.items()}


def _parsed(line: str) -> dict | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
