"""From a request to a query: photographs by name or with the request, and what is stated, in the vocabulary's words."""

from collections.abc import Sequence

from fastapi import UploadFile

from auxreid.lostpets.query import Facts, Near, Query
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.schemas import SearchIn, StatedIn
from auxreid.lostpets.service.state import Service
from auxreid.lostpets.service.uploads import Photo, cleaned
from auxreid.search.looks import Vocabulary
from auxreid.search.stated import Stated


def uploaded(files: Sequence[UploadFile], service: Service, already: int = 0) -> list[Photo]:
    """The photographs that came with a request, as they are kept; one that came twice is one.

    Raises:
        Refused: there are too many, or one cannot be used.
    """
    most = service.settings.photos
    if already + len(files) > most:
        raise Refused(422, f"{already + len(files)} photographs; at most {most} of one dog", "photos")
    return [cleaned(file.file.read(service.settings.upload_bytes + 1), service.settings) for file in files]


def named(names: Sequence[str], service: Service) -> list[bytes]:
    """Photographs that were uploaded before.

    Raises:
        Refused: one is not kept any more.
    """
    contents = [service.content(name) for name in names]
    if missing := [name for name, content in zip(names, contents, strict=True) if content is None]:
        raise Refused(404, f"photograph {missing[0][:12]} is not kept any more; upload it again", "query.photos")
    return [content for content in contents if content is not None]


def checked_crops(crops: Sequence, photos: int, field: str) -> tuple:
    """One for each photograph, or none at all. Raises Refused."""
    if crops and len(crops) != photos:
        raise Refused(422, f"{len(crops)} crops for {photos} photographs; one each, or none", field)
    return tuple(crops)


def query_of(asked: SearchIn, contents: Sequence[bytes], vocabulary: Vocabulary, empty: bool = False) -> Query:
    """The query; `empty`: without its photographs, which were looked at before.

    Raises:
        Refused: it asks for nothing, or for a word that the vocabulary has not.
    """
    stated = {name: stated_of(name, said, vocabulary) for name, said in asked.stated.items()}
    said = any(one.says for one in stated.values())
    if not (empty or contents or said or asked.text.strip()):
        raise Refused(422, "nothing to search by: a photograph, a description or an attribute is needed", "query")
    near = None if asked.near is None else Near(asked.near.latitude, asked.near.longitude, asked.near.km)
    facts = Facts(near, asked.since, asked.until, tuple(dict.fromkeys(asked.kinds)))
    crops = () if empty else checked_crops(asked.crops, len(contents), "query.crops")
    return Query(tuple(contents), crops, stated, asked.text, facts, asked.dogs, asked.rerank)


def stated_of(name: str, said: StatedIn, vocabulary: Vocabulary) -> Stated:
    """In the vocabulary's words. Raises Refused."""
    known = vocabulary.get(name)
    if known is None:
        raise Refused(422, f"no such attribute; there are: {', '.join(vocabulary)}", "query.stated")
    for word in (*said.words, *said.excluded):
        if word not in known:
            raise Refused(422, f"no such word of {name}; there are: {', '.join(known)}", f"query.stated.{name}")
    return Stated(tuple(said.words), tuple(said.excluded))
