"""A saved search's candidates as an Atom feed (RFC 4287)."""

import re
import sqlite3
from xml.etree.ElementTree import Element, SubElement, tostring

from auxreid.lostpets.service.schemas import Candidate

MEDIA_TYPE = "application/atom+xml"
ATOM = "http://www.w3.org/2005/Atom"
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def feed_of(saved: sqlite3.Row, found: list[Candidate], address: str) -> bytes:
    """The feed; its ids stay the same when the service moves to another address."""
    feed = Element("feed", xmlns=ATOM)
    _text(feed, "id", f"urn:auxreid:search:{saved['id']}")
    _text(feed, "title", saved["name"])
    _text(feed, "updated", max([saved["created"], *(one.created.isoformat() for one in found)]))
    SubElement(_part(feed, "author"), "name").text = "auxreid"
    for one in found:
        entry = _part(feed, "entry")
        _text(entry, "id", f"urn:auxreid:search:{saved['id']}:{one.report}")
        _text(entry, "title", f"{one.found.kind}: {one.decision} ({one.found.score:+.1f})")
        _text(entry, "updated", one.created.isoformat())
        _part(entry, "link", rel="alternate", href=f"{address}/?report={one.report}")
        _part(entry, "link", rel="enclosure", type="image/jpeg", href=f"{address}/api/photos/{one.found.photo}")
        _text(entry, "summary", _summary(one))
    return tostring(feed, encoding="utf-8", xml_declaration=True)


def _summary(one: Candidate) -> str:
    where = one.found.place.name if one.found.place else ""
    when = one.found.date.isoformat() if one.found.date else ""
    terms = ", ".join(f"{term.name} {term.value:+.1f}" for term in one.found.terms)
    return "; ".join(part for part in (when, where, terms) if part)


def _part(parent: Element, name: str, **attributes: str) -> Element:
    return SubElement(parent, name, attributes)


def _text(parent: Element, name: str, text: str) -> None:
    _part(parent, name).text = NOT_IN_XML.sub("", text)
