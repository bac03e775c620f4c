"""The search of a data set as an MLflow model: MLflow copies this script beside the base and the networks and runs it
where the model is loaded.

It needs the project's package: a checkout of it, installed by `pip install -e .` or on PYTHONPATH.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from auxreid.lostpets.engine import Engine
from auxreid.lostpets.looker import Looker, reader_of
from auxreid.lostpets.memory import MemoryBase
from auxreid.lostpets.query import Query, Stated
from auxreid.plumbing.base.errors import DataError
from auxreid.search.fusion import Fusion
from auxreid.search.networks import Files
from auxreid.search.rows import read_rows
from auxreid.serving.photos import content_of
from auxreid.serving.requests import IMAGE, answering, images_of

QUERY, TEXT, STATED = "query", "text", "stated"  # the columns beside the image


class DogSearch(PythonModel):
    """Photographs, descriptions and stated attributes of dogs -> the dogs of the base that they may be."""

    def load_context(self, context):
        files = {name: Path(path) for name, path in context.artifacts.items()}
        rows = read_rows(files["rows"])
        used = Files.read(rows.header.encoder)
        backbone = used.backbone and files.get("backbone", files["attributes"])
        given = replace(
            used,
            embedding=files["embedding"],
            attributes=files["attributes"],
            backbone=backbone,
            **{name: files.get(name) for name in ("text", "descriptors", "hrnet")},
        )
        fusion = Fusion.from_json(files["fusion"].read_text(encoding="utf-8"))
        self.engine = Engine(Looker(given), MemoryBase(rows), fusion, read=reader_of(given, fusion))

    def predict(self, context, model_input, params=None):
        """A table with a line per query: `query`, `decision`, `dog` and `score` of the first, and the whole `answer`
        as JSON.

        What is asked is a table: `image` is a photograph, empty where there is none, `text` a description, `stated`
        JSON such as {"size": ["small"], "ears": {"excluded": ["drop"]}}; lines of one `query` are photographs of one
        dog. (MLflow makes a table of a list, whose column it then leaves out, for it has none of these names.)
        """
        with answering():
            found = [(name, self.engine.search(query)) for name, query in queries(model_input)]
        return pd.DataFrame(
            {
                "query": [name for name, _ in found],
                "decision": [answer.decision for _, answer in found],
                "dog": [answer.dogs[0].dog if answer.dogs else "" for _, answer in found],
                "score": [answer.dogs[0].score if answer.dogs else float("nan") for _, answer in found],
                "answer": [answer.model_dump_json() for _, answer in found],
            }
        )


def queries(asked) -> list[tuple[str, Query]]:
    """The queries of a table, by name, in the order of their first lines.

    Raises:
        DataError: it has none of the columns, as what MLflow makes of a list.
    """
    if not {IMAGE, TEXT, STATED} & set(getattr(asked, "columns", ())):
        raise DataError(
            f"nothing is asked: a table with a column {IMAGE}, {TEXT} or {STATED} is needed; a list is none"
        )
    lines: dict[str, dict] = {}
    for place, line in enumerate(asked.to_dict("records")):
        name = str(line[QUERY]) if _is_there(line.get(QUERY)) else str(place)
        one = lines.setdefault(name, {"photos": [], TEXT: "", STATED: {}})
        if _is_there(line.get(IMAGE)):
            one["photos"] += _photos([line[IMAGE]])
        one[TEXT] = " ".join(filter(None, [one[TEXT], line[TEXT] if _is_there(line.get(TEXT)) else ""]))
        if _is_there(line.get(STATED)):
            one[STATED] |= stated_of(line[STATED])
    return [(name, Query(tuple(one["photos"]), (), one[STATED], one[TEXT])) for name, one in lines.items()]


def stated_of(text: str) -> dict[str, Stated]:
    """Of JSON: by attribute its words, or a mapping of `words` and `excluded`.

    Raises:
        DataError: it is something else.
    """
    try:
        found = json.loads(text)
        return {name: Stated(**_lists(said)) for name, said in found.items()}
    except (ValueError, TypeError, AttributeError):
        wanted = '{"size": ["small"], "ears": {"excluded": ["drop"]}}'
        raise DataError(f"{STATED}: {str(text)[:80]!r}: JSON is needed, such as {wanted}") from None


def _lists(said) -> dict[str, tuple[str, ...]]:
    parts = said if isinstance(said, dict) else {"words": said}
    if not all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in parts.values()):
        raise TypeError
    return {name: tuple(words) for name, words in parts.items()}


def _photos(images) -> list[bytes]:
    return [content_of(image if isinstance(image, bytes) else Path(image)) for image in images_of(images)]


def _is_there(value) -> bool:
    return value is not None and value not in ("", b"") and not (isinstance(value, float) and math.isnan(value))


set_model(DogSearch())
