"""The page and its files: those that are in the package's folder, found by their names, and no others."""

import mimetypes
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

from auxreid.lostpets.service.errors import Refused

FOLDER = "page"
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".json": "application/json"}
TYPES |= {".svg": "image/svg+xml", ".png": "image/png", ".webmanifest": "application/manifest+json"}
TEXT = ("text/", "application/json", "application/manifest")
routes = APIRouter(include_in_schema=False)


def page_files() -> dict[str, bytes]:
    """All files of the page by their names."""
    folder = files("auxreid.lostpets") / FOLDER
    if not folder.is_dir():
        return {}
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file() and not one.name.endswith(".py")}


@cache
def _kept() -> dict[str, bytes]:
    return page_files()


@routes.get("/")
def page() -> Response:
    """The page."""
    return _file("index.html")


@routes.get("/static/{name}")
def static(name: str) -> Response:
    """What the page is made of."""
    return _file(name)


def _file(name: str) -> Response:
    content = _kept().get(name)
    if content is None:
        raise Refused(404, "nothing is here")
    suffix = name[name.rfind(".") :]
    kind = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    full = f"{kind}; charset=utf-8" if kind.startswith(TEXT) else kind
    return Response(content, headers={"Content-Type": full, "Cache-Control": "no-cache"})
