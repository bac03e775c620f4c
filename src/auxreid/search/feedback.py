"""What people said of answers, as pairs from which the next fusion learns.

Each line of the log is of a query and one dog of its answer: the similarity, what was predicted of both photographs,
what was stated, and the verdict. Evidence is of the networks that gave it: lines of others are left out, and so are
those of dogs that the search is tested on.
"""

import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auxreid.plumbing.base.errors import DataError
from auxreid.search.evidence import attribute_llr, stated_vector, through
from auxreid.search.examples import VISUAL, Calibrating, Extra

VERDICTS = {"same": True, "different": False, "none": False}
SOFTNESS = 0.1  # of statements that people made


def read_feedback(path: Path, known: Calibrating, networks: str, tested: Container[str] = ()) -> Extra:
    """The pairs of a log in JSON lines, none where nobody has said anything of these networks' answers.

    A line needs `networks` (the hash of them), `verdict`, `similarity` (null: no photograph asked), `query` and `found`
    (per attribute the probabilities of its words; `query` null as well), and `stated` (per attribute the words that are
    left); `dog` is the answer's. Of several lines of one `search` and `dog` the last counts. A last line that was cut
    off is left out.

    Args:
        tested: dogs whose pairs are not learnt from.

    Raises:
        DataError: the file is not there, or a line is broken; the line is named.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such log of feedback")
    lines = path.read_text("utf-8").split("\n")
    records = [(number, _parsed(path, number, line)) for number, line in enumerate(lines[:-1], 1) if line.strip()]
    pairs = []
    for number, record in _last_said(records):
        if record.get("networks") == networks and record.get("dog") not in tested:
            try:
                pairs.append((_evidence(record, known), VERDICTS[record["verdict"]]))
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{path}, line {number}: not feedback ({type(error).__name__}: {error})") from error
    names = list(known.vocabulary)
    raw = {name: np.array([values[name] for (values, _), _ in pairs], np.float64) for name in (VISUAL, *names)}
    stated = {name: np.array([name in said for (_, said), _ in pairs], bool) for name in names}
    return Extra(raw, stated, np.array([same for _, same in pairs], bool))


def _last_said(records: Sequence[tuple[int, Mapping[str, Any]]]) -> list[tuple[int, Mapping[str, Any]]]:
    """Of what was said of a dog of one search the last, so that nobody counts twice; lines of no search all count."""
    last = {(record.get("search", number), record.get("dog")): (number, record) for number, record in records}
    return list(last.values())


def _parsed(path: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number}: no JSON ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}, line {number}: no JSON object")
    return found


def _evidence(record: Mapping[str, Any], known: Calibrating) -> tuple[dict[str, float], Mapping[str, Sequence[str]]]:
    """The raw evidence by term, as Fusion.raw gives it, and what was stated."""
    stated = {name: words for name, words in record["stated"].items() if words}
    values = {VISUAL: np.nan if record["similarity"] is None else float(record["similarity"])}
    for name, words in known.vocabulary.items():
        prior, confusion = known.priors[name], known.confusions[name]
        if name in stated:
            own = stated_vector(stated[name], (), words, prior, SOFTNESS)[None]
        elif record["query"] is not None:
            own = through(np.array([record["query"][name]]), confusion)
        else:
            own = prior[None]  # nothing is known
        theirs = through(np.array([record["found"][name]]), confusion)
        values[name] = float(attribute_llr(own, theirs, prior)[0, 0])
    return values, stated
