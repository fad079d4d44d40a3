"""The declaration of one version."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.versioning.brownouts import Brownout
from app.versioning.migration import Migration
from app.versioning.problems import Problem
from app.versioning.quotas import Standing, ratelimit_fields


@dataclass(frozen=True)
class ErrorFormat:
    """How a version writes failures, and how its document describes them."""

    render: Callable[[Problem, Request], Response]
    media_type: str
    model: type[BaseModel]
    validation_model: type[BaseModel]  # the same as `model` where one form serves both


@dataclass(frozen=True)
class ApiVersion:
    """Everything that sets one generation of the API apart from the others, its end included.

    `name` is its path prefix and its label everywhere: "v1". `router` holds its routes, without the prefix; a lifespan
    of its own is not entered. What the values may be together, `registry.check` says; it runs when the service starts.
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
    frozen: bool = False  # nothing about the version changes any more, additions included
    status: Literal["preview", "current", "deprecated"] = "current"  # nothing is promised of a preview
    deprecated: datetime | None = None  # since when; may lie in the future
    sunset: datetime | None = None  # from then on every request is answered 410
    successor: str | None = None  # the name of the version to go to
    policy: str | None = None  # URL of the page that says how versions end
    brownouts: Sequence[Brownout] = ()
    # Where tokens are handed out, such as "/v1/login". Who asks there has none yet, so brownouts, which may be for one
    # client or spare one, leave these paths alone.
    token_paths: Sequence[str] = ()
    migration: Migration | None = None  # to the successor
    limit_fields: Callable[[Sequence[Standing]], Mapping[str, str]] = ratelimit_fields  # tell how a caller stands
    documents_limits: bool = False  # whether the document has the 429 that any operation can meet

    @property
    def promised(self) -> bool:
        """Whether clients may rely on the version."""
        return self.status != "preview"

    @property
    def prefix(self) -> str:
        return f"/{self.name}"

    @property
    def document_paths(self) -> tuple[str, str]:
        """Where the OpenAPI document and the docs page are."""
        return f"{self.prefix}/openapi.json", f"{self.prefix}/docs"

    def owns(self, path: str) -> bool:
        """Whether a request path belongs to this version, served or not."""
        return path.split("/", 2)[1:2] == [self.name]

    def phase(self, at: datetime) -> Literal["preview", "current", "deprecated", "retired"]:
        """Where in its life the version is at that moment."""
        if self.status == "preview":
            return "preview"
        if self.sunset is not None and at >= self.sunset:
            return "retired"
        return "deprecated" if self.deprecated is not None and at >= self.deprecated else "current"
