"""The declaration of one version."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.versioning.problems import Problem


@dataclass(frozen=True)
class ErrorFormat:
    """How a version writes failures, and how its document describes them."""

    render: Callable[[Problem, Request], Response]
    media_type: str
    model: type[BaseModel]
    validation_model: type[BaseModel]  # the same as `model` where one form serves both


@dataclass(frozen=True)
class ApiVersion:
    """Everything that sets one generation of the API apart from the others.

    `name` is its path prefix and its label everywhere: "v1". `router` holds its routes, without the prefix.
    """

    name: str
    router: APIRouter
    errors: ErrorFormat
    title: str
    summary: str
    description: str
    revision: str  # `info.version` of the document
    tags: Sequence[dict[str, Any]] = ()
    ignores_trailing_slash: bool = False
    status: Literal["current", "frozen"] = "current"

    @property
    def prefix(self) -> str:
        return f"/{self.name}"

    @property
    def frozen(self) -> bool:
        """Whether nothing about the version changes any more, additions included."""
        return self.status == "frozen"

    def owns(self, path: str) -> bool:
        """Whether a request path belongs to this version, served or not."""
        return path == self.prefix or path.startswith(f"{self.prefix}/")
