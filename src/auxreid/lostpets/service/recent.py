"""Searches of the last hour: what was asked and answered, for feedback on it and to save it."""

import json
import time
from dataclasses import dataclass

from auxreid.lostpets.answer import Answer, Found
from auxreid.lostpets.query import Query
from auxreid.lostpets.service.asking import named, query_of
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.schemas import SearchIn
from auxreid.lostpets.service.state import Service
from auxreid.lostpets.service.tokens import new_id
from auxreid.plumbing.base.errors import DataError
from auxreid.search.looks import Looks


@dataclass(frozen=True)
class Recent:
    """A search that was answered; `similar_to` the photograph of the base that it was asked by, if it was."""

    asked: SearchIn
    answer: Answer
    similar_to: str | None = None


def keep_search(service: Service, asked: SearchIn, answer: Answer, similar_to: str | None = None) -> str:
    """Its id. Of a report that was deleted while it was searched nothing is kept."""
    search = new_id()
    query = json.dumps({"asked": asked.model_dump(mode="json"), "similar_to": similar_to})
    with service.store.change():
        dogs = [dog for dog in answer.dogs if _is_there(service, dog)]
        kept = answer.model_copy(update={"dogs": dogs}).model_dump_json()
        service.store.put("searches", id=search, created=time.time(), query=query, answer=kept)
    return search


def _is_there(service: Service, dog: Found) -> bool:
    """Also where some of its photographs are of reports that were merged into its own."""
    if dog.report is None:
        return True
    reports = {dog.report, *(frame.partition("-")[0] for frame in dog.photos)}
    return all(service.store.row("select 1 from reports where id = ?", (one,)) for one in reports)


def recent_search(service: Service, search: str) -> Recent:
    """Raises Refused if it is not kept any more."""
    row = service.store.row("select * from searches where id = ?", (search,))
    if row is None:
        raise Refused(404, "that search is not kept any more; search again", "search")
    query = json.loads(row["query"])
    return Recent(
        SearchIn.model_validate(query["asked"]), Answer.model_validate_json(row["answer"]), query["similar_to"]
    )


def query_and_looks(service: Service, recent: Recent) -> tuple[Query | None, Looks | None]:
    """What it was asked by: the query, and what is seen on each of its photographs; None where it had none."""
    if recent.similar_to is not None:
        try:
            return None, service.engine.base.looks([recent.similar_to])
        except DataError:  # its report was closed since
            raise Refused(404, "the photograph that was searched by is not there any more", "search") from None
    query = query_of(recent.asked, named(recent.asked.photos, service), service.engine.vocabulary)
    looks = service.engine.look(query.photos, query.crops) if query.photos else None
    return query, looks
