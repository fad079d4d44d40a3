"""One OpenAPI 3.1 document a version, holding that version alone, with every status an operation can give."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext
from pydantic.json_schema import models_json_schema

from app.versioning.operations import METHODS, operations
from app.versioning.sections import served_routes
from app.versioning.times import rfc3339
from app.versioning.version import ApiVersion, ErrorFormat

_DESCRIPTIONS = {
    401: "The token is missing, or no longer valid.",
    403: "Known, but not allowed.",
    404: "Does not exist, as far as the caller may know.",
    409: "Contradicts what is already there.",
    304: "If-None-Match names the ETag that the reply would have.",
    410: "The version has ended, or is switched off for an announced while; the reply names its successor.",
    412: "If-Match names no ETag that it has now; nothing was changed.",
    413: "The body is larger than the service takes.",
    415: "The body is not of a media type this operation reads.",
    422: "Part of the request is malformed or out of range.",
    429: "Too many requests, or wrong passwords; try again after Retry-After seconds.",
    500: "A bug in the service; report it with the request id.",
    503: "The service cannot answer just now; try again.",
}

_KEY_IN_USE = "The first request with this Idempotency-Key is still being worked on."
_REPLAYED: dict[str, Any] = {
    "description": "That this is the reply to the first request with this Idempotency-Key, sent again.",
    "required": False,
    "schema": {"type": "string", "const": "true"},
}


def refusals(*statuses: int, **described: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: statuses with their usual description, or with one given as `status_404="…"`."""
    own = {int(name.removeprefix("status_")): text for name, text in described.items()}
    usual = {status: _DESCRIPTIONS.get(status, HTTPStatus(status).phrase) for status in statuses}
    return {status: {"description": text} for status, text in {**usual, **own}.items()}


def response_headers(status: int, *, required: bool = True, **described: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route whose reply of this status has these headers."""
    return {status: {"headers": {name: _header(text, required=required) for name, text in described.items()}}}


def _header(description: str, *, required: bool) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": "string"}}


def links(status: int, **targets: dict[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route whose reply of this status leads on: a name for each way, and its `link`."""
    return {"responses": {str(status): {"links": targets}}}


def link(operation: str, description: str, *, body: Any = None, **parameters: str) -> dict[str, Any]:
    """A way from a reply to an operation (by its id): runtime expressions for its parameters, and for its body."""
    sent = {"parameters": parameters} if parameters else {}
    return {"operationId": operation, "description": description, **sent, **({"requestBody": body} if body else {})}


def merge_patch_body(model: str) -> dict[str, Any]:
    """The `openapi_extra` of a PATCH route that takes `application/merge-patch+json` (RFC 7396) beside plain JSON."""
    schema = {"schema": {"$ref": f"#/components/schemas/{model}"}}
    return {"requestBody": {"content": {"application/merge-patch+json": schema}}}


def routes_of(app: FastAPI, version: ApiVersion) -> list[RouteContext]:
    """The version's routes as served, each with its full path."""
    return [context for context in served_routes(app) if version.owns(context.path or "")]


def build_document(app: FastAPI, version: ApiVersion, info: Mapping[str, Any]) -> dict[str, Any]:
    """The version's document. `info` is what all versions share: `contact`, `license_info`, `servers`, …"""
    routes = [context for context in routes_of(app, version) if getattr(context, "include_in_schema", False)]
    document = get_openapi(
        title=version.title,
        version=version.revision,
        openapi_version="3.1.0",
        summary=version.summary,
        description=version.description,
        routes=routes,
        tags=[dict(tag) for tag in version.tags],
        **info,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for generated in ("HTTPValidationError", "ValidationError"):  # FastAPI's own form, which no version speaks
        schemas.pop(generated, None)
    schemas.update(_error_schemas(version.errors))
    for _, _, operation in operations(document):
        _complete(operation, version)
    if version.deprecated is not None:
        document["info"]["x-deprecated"] = rfc3339(version.deprecated)
    if version.sunset is not None:
        document["info"]["x-sunset"] = rfc3339(version.sunset)
    document["security"] = []  # what names no token needs none: said once, because silence might be an oversight
    exact: dict[str, Any] = _without_needless_fractions(document)
    return exact


def _without_needless_fractions(node: Any) -> Any:
    """FastAPI turns the bounds of schemas into floats: `minimum: 1.0`, and 2^63 into 9.223372036854776e+18."""
    if isinstance(node, dict):
        return {key: _without_needless_fractions(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_needless_fractions(value) for value in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node


def _error_schemas(form: ErrorFormat) -> dict[str, Any]:
    models: Sequence[Any] = [(form.model, "serialization"), (form.validation_model, "serialization")]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    return dict(definitions["$defs"])


def without_announcements(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what it says of the version's end, which comes and moves while the contract stands."""
    info = {key: value for key, value in document["info"].items() if key not in ("x-deprecated", "x-sunset")}
    paths = {
        path: {key: _without_end(operation) if key in METHODS else operation for key, operation in item.items()}
        for path, item in document["paths"].items()
    }
    return {**document, "info": info, "paths": paths}


def _without_end(operation: dict[str, Any]) -> dict[str, Any]:
    responses = {status: reply for status, reply in operation["responses"].items() if status != "410"}
    rest = {key: value for key, value in operation.items() if key not in ("deprecated", "x-sunset")}
    return {**rest, "responses": responses}


def _announce_end(operation: dict[str, Any], version: ApiVersion) -> set[int]:
    """Say that the version ends, and give the status that it ends with."""
    if version.deprecated is not None:
        operation["deprecated"] = True
    if version.sunset is None:
        return set()
    operation["x-sunset"] = rfc3339(version.sunset)  # where tools that compare documents look for it
    return {410}


def _tell_of_replays(operation: dict[str, Any]) -> None:
    """What comes of Idempotency-Key, where an operation takes it."""
    if all(parameter["name"].lower() != "idempotency-key" for parameter in operation.get("parameters", ())):
        return
    responses = operation["responses"]
    responses.setdefault("409", {"description": _KEY_IN_USE})
    for status in (status for status in responses if status.startswith("2")):
        responses[status].setdefault("headers", {})["Idempotent-Replayed"] = _REPLAYED


def _complete(operation: dict[str, Any], version: ApiVersion) -> None:
    """Give every refusal the version's form, and add those that any operation can meet."""
    responses, form = operation["responses"], version.errors
    expected = {500, 503} | _announce_end(operation, version)
    # A header of ours that is of no use names nothing that is there; it is never malformed.
    read = any(parameter["in"] != "header" for parameter in operation.get("parameters", ()))
    if read or "requestBody" in operation:
        expected.add(422)
    if "requestBody" in operation:
        expected.add(413)
    if version.documents_limits:
        expected.add(429)
    _tell_of_replays(operation)
    for status in expected:
        responses.setdefault(str(status), {"description": _DESCRIPTIONS[status]})
    for status, response in responses.items():
        generated = response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
        if int(status) >= 400 and ("content" not in response or generated.endswith("/HTTPValidationError")):
            model = form.validation_model if status == "422" else form.model
            response["description"] = _DESCRIPTIONS[422] if status == "422" else response["description"]
            response["content"] = {form.media_type: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
    if 429 in expected:
        responses["429"]["headers"] = {"Retry-After": _header("When to try again, in seconds.", required=True)}
    operation["responses"] = dict(sorted(responses.items()))
