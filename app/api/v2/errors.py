"""Errors of version 2: problem details for HTTP APIs (RFC 9457)."""

import re
from typing import Literal
from urllib.parse import quote

from fastapi import Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from app.versioning import ErrorFormat, FieldError, Problem

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class InvalidPart(BaseModel):
    """One thing that is wrong: in the body at `pointer` (RFC 6901, as a URI fragment), or in `parameter`."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    code: str


class ProblemDetails(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/post-not-found",
                    "title": "Post Not Found",
                    "status": 404,
                    "detail": "No such post",
                    "instance": "/v2/posts/7",
                    "code": "post-not-found",
                    "request_id": "0f5c3d1e8a4b4c0f9a7d2b6e1c3f5a7b",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str


class ValidationProblemDetails(ProblemDetails):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/invalid-request",
                    "title": "Invalid Request",
                    "status": 422,
                    "detail": "The request is invalid; see `errors`",
                    "instance": "/v2/posts",
                    "code": "invalid-request",
                    "request_id": "0f5c3d1e8a4b4c0f9a7d2b6e1c3f5a7b",
                    "errors": [
                        {
                            "detail": "String should have at least 1 character",
                            "pointer": "#/title",
                            "code": "string_too_short",
                        }
                    ],
                }
            ]
        }
    )

    status: Literal[422]
    errors: list[InvalidPart]


def render(problem: Problem, request: Request) -> Response:
    headers = dict(problem.headers)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    content = {
        "type": f"/problems/{problem.type.code}",
        "title": problem.type.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": _instance(problem, request),
        "code": problem.type.code,
        "request_id": request.state.request_id,
    }
    if problem.errors:
        content["errors"] = [_part(error) for error in problem.errors]
    return JSONResponse(content, problem.status, headers, "application/problem+json")


def _instance(problem: Problem, request: Request) -> str:
    """The path that was asked for, up to a part of it that is refused: a reply never echoes the offending input."""
    if any(error.location[0] == "path" for error in problem.errors):
        path: str = request.scope["route"].path
        return path.partition("{")[0]
    return quote(request.scope["path"])


def _part(error: FieldError) -> dict[str, str]:
    place, *path = error.location
    if place != "body":
        return {"detail": error.message, "parameter": str(path[0]), "code": error.code}
    if error.code == "extra_forbidden" and not _PLAIN_NAME.fullmatch(str(path[-1])):
        path = path[:-1]  # the name is the offending input: shown where it helps, left out where it may do harm
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return {"detail": error.message, "pointer": f"#{pointer}", "code": error.code}


ERRORS = ErrorFormat(
    render, "application/problem+json", model=ProblemDetails, validation_model=ValidationProblemDetails
)
