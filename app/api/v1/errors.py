"""Errors of version 1: `{"detail": "text"}`, and a list of three keys each for validation."""

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from app.versioning import ErrorFormat, Problem


class Error(BaseModel):
    detail: str


class InvalidField(BaseModel):
    loc: list[str | int]
    msg: str
    type: str


class ValidationErrors(BaseModel):
    detail: list[InvalidField]


def render(problem: Problem, request: Request) -> Response:
    headers = dict(problem.headers)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.errors:
        found = [{"loc": error.location, "msg": error.message, "type": error.code} for error in problem.errors]
        return JSONResponse({"detail": found}, problem.status, headers)
    detail = problem.detail
    if problem.status == 500:
        detail = f"{problem.type.title} (request id {request.state.request_id})"
    return JSONResponse({"detail": detail}, problem.status, headers)


ERRORS = ErrorFormat(render, "application/json", model=Error, validation_model=ValidationErrors)
