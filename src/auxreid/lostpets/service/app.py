"""The application: routes, guards and limits around an engine and a home folder."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auxreid import __version__
from auxreid.lostpets.engine import Engine
from auxreid.lostpets.service import page_routes, report_routes, saved_routes, search_routes
from auxreid.lostpets.service.errors import Problem, answer_errors, problem
from auxreid.lostpets.service.headers import Guard
from auxreid.lostpets.service.limits import Limits
from auxreid.lostpets.service.log import LOG, RequestLog, told_place
from auxreid.lostpets.service.repair import repair
from auxreid.lostpets.service.settings import Settings
from auxreid.lostpets.service.state import Service
from auxreid.lostpets.service.worker import Workers

REFUSALS = {
    400: "the request cannot be read",
    403: "not allowed: another token, another site's page, or a private address",
    404: "not there, or not any more",
    409: "not in this state",
    413: "too long, or too many pixels",
    415: "no photograph of a format that is read",
    422: "a part of the request cannot be used",
    429: "too many requests; Retry-After says when again",
    500: "a fault of the service",
    503: "the base is being written by another process, or the disk is full; Retry-After says when again",
}
RESPONSES = {status: {"model": Problem, "description": reason} for status, reason in REFUSALS.items()}


def create_app(
    engine: Engine,
    home: Path,
    settings: Settings | None = None,
    larger: Callable[[str], bytes | None] = lambda frame: None,
) -> FastAPI:
    """The service over an engine; what a killed one left in the home folder is repaired first.

    Args:
        engine: searches the base, which it has open for writing; its looker is a SharedLooker.
        home: folder of the tables, photographs, feedback and messages.
        larger: a photograph of a data set as a JPEG larger than the base's thumbnail, if there is one.
    """
    service = Service(engine, home, settings or Settings(), larger)
    repair(service)
    workers = Workers(service)
    service.wake = workers.wake

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        workers.start()
        try:
            yield
        finally:
            workers.stop()
            service.store.close()

    app = FastAPI(
        title="auxreid: the lost-pet search",
        version=__version__,
        lifespan=running,
        docs_url=None,  # they load scripts from other hosts
        redoc_url=None,
        responses=RESPONSES,
    )
    app.state.service = service
    answer_errors(app)
    for routes in (search_routes, report_routes, saved_routes, page_routes):
        app.include_router(routes.routes)
    for layer, options in (
        (Limits, {"settings": service.settings}),
        (Unexpected, {}),
        (RequestLog, {}),
        (Guard, {"hosts": service.settings.hosts}),
    ):
        app.add_middleware(layer, **options)
    return app


class Unexpected:
    """What nobody expected is answered as JSON without details, and logged by its kind and place alone."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            LOG.error("fault: %s", told_place(error))
            if scope["type"] != "http" or begun:
                raise
            await problem(500, "a fault of the service; it is in its log")(scope, receive, send)
