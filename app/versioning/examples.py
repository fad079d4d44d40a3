"""Example exchanges, made from the examples in a version's OpenAPI document, which the running service made itself."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

_FORM = "application/x-www-form-urlencoded"
_ANY_TEXT = "…"


class Example(NamedTuple):
    """One exchange, as it is shown: a request line, a media type and a body if it has one, a status, a reply."""

    request: str
    media_type: str | None
    body: str | None
    status: str
    reply: Any  # JSON; None for none


def example_of(
    document: Mapping[str, Any], prefix: str, operation: str, given: Mapping[str, Any], url: str | None = None
) -> Example:
    """An exchange of an operation ("GET /posts/{id}", without the prefix) that goes well.

    `given` has values of parameters and members that go before the document's. `url` is another path and query to
    show than the one made of these.
    """
    method, path = operation.split(" ")
    described = document["paths"][prefix + path][method.lower()]
    media_type, body = _body(document, described, given)
    status, reply = next((s, r) for s, r in sorted(described["responses"].items()) if s.startswith("2"))
    schema = reply.get("content", {}).get("application/json", {}).get("schema")
    return Example(
        f"{method} {url or _url(document, prefix + path, described, given)}",
        media_type,
        body,
        f"{status} {HTTPStatus(int(status)).phrase}",
        None if schema is None else value_of(document, schema, given),
    )


def value_of(document: Mapping[str, Any], schema: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """A value that fits a schema: its own example, else one of its members' examples; optional ones are left out."""
    if "$ref" in schema:
        return value_of(document, _followed(document, schema["$ref"]), given)
    if examples := schema.get("examples"):
        return _in_order(document, schema, examples[0])
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    for word in ("oneOf", "anyOf", "allOf"):
        if word in schema:
            return value_of(document, schema[word][0], given)
    if schema.get("type") == "object":
        return {
            name: given[name] if name in given else value_of(document, member, given)
            for name, member in schema.get("properties", {}).items()
            if name in schema.get("required", ()) or name in given or "examples" in member
        }
    if schema.get("type") == "array":
        return [value_of(document, schema.get("items", {}), given)]
    plain = {"integer": 1, "number": 1, "boolean": True, "null": None}
    return plain.get(str(schema.get("type")), _ANY_TEXT)


def _in_order(document: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> Any:
    """The same value with its members as the schema lists them, which is how they are sent: Pydantic sorts examples."""
    if "$ref" in schema:
        return _in_order(document, _followed(document, schema["$ref"]), value)
    if isinstance(value, list):
        return [_in_order(document, schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    members = schema.get("properties", {})
    names = [*(name for name in members if name in value), *(name for name in value if name not in members)]
    return {name: _in_order(document, members.get(name, {}), value[name]) for name in names}


def _body(
    document: Mapping[str, Any], described: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    for media_type, media in described.get("requestBody", {}).get("content", {}).items():
        value = value_of(document, media["schema"], given)
        return media_type, urlencode(value) if media_type == _FORM else written(value)
    return None, None


def _url(document: Mapping[str, Any], path: str, described: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    query = {}
    for parameter in described.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] == "path":
            value = given[name] if name in given else value_of(document, parameter["schema"], given)
            path = path.replace(f"{{{name}}}", str(value))
        elif parameter["in"] == "query" and name in given:
            query[name] = given[name]
    return f"{path}?{urlencode(query)}" if query else path


def _followed(document: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    node: Any = document
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    found: Mapping[str, Any] = node
    return found


def written(value: Any) -> str:
    """JSON as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False)
