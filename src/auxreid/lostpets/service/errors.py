"""Errors as JSON with a reason: of the service itself, of checks of a request, and of what nobody expected."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import compile_path

from auxreid.lostpets.base.write_lock import BusyError

REASONS = {404: "nothing is here", 405: "this address does not take that method"}


class Problem(BaseModel):
    """Why a request was not answered."""

    error: str = Field(description="the reason, in words")
    field: str | None = Field(None, description="the part of the request that it is about")


class Refused(Exception):
    """A request that is not answered, with the reason and the part that it is about."""

    def __init__(self, status: int, error: str, field: str | None = None, headers: dict[str, str] | None = None):
        super().__init__(error)
        self.status, self.error, self.field, self.headers = status, error, field, headers


def problem(status: int, error: str, field: str | None = None, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a request that is refused."""
    return JSONResponse(Problem(error=error, field=field).model_dump(), status, headers)


def answer_errors(app: FastAPI) -> None:
    """Have every error of the application answered in this form."""

    @app.exception_handler(Refused)
    def refused(request: Request, error: Refused) -> JSONResponse:
        return problem(error.status, error.error, error.field, error.headers)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        reason = REASONS.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(methods_of(app, request.url.path)) or headers.get("Allow", "GET")
        return problem(error.status_code, reason, None, headers)

    @app.exception_handler(BusyError)
    def busy(request: Request, error: BusyError) -> JSONResponse:
        return problem(503, "the base is being written; again in a minute", None, {"Retry-After": "60"})

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return problem(422, reason_of(first), field_of(first))


def methods_of(app: FastAPI, path: str) -> list[str]:
    """All that an address takes; Starlette tells those of one of its routes."""
    paths = app.openapi()["paths"].items()
    return sorted(
        {name.upper() for pattern, item in paths if compile_path(pattern)[0].fullmatch(path) for name in item}
    )


def reason_of(fault: dict) -> str:
    """What is wrong with a value, without the value: it may be personal."""
    return str(fault["msg"]).removeprefix("Value error, ")


def field_of(fault: dict) -> str | None:
    """The part of the request, as `query.near.km`."""
    return ".".join(map(str, fault["loc"][1:])) or None
