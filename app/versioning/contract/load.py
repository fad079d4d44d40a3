"""Reads an OpenAPI document from a file or an address, and brings 3.0 into the form of 3.1."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

Json = dict[str, Any]

LONGEST_WAIT = 30  # seconds for an address to answer
# Below these words stand values or prose, in which `nullable` would be data and no keyword.
VALUES = frozenset({"example", "examples", "default", "enum", "const"})


class ContractError(Exception):
    """What was given is no OpenAPI document that can be read; the message is one line."""


def load(source: str) -> Json:
    """The document at a path or an http(s) address, JSON or YAML, in the form of OpenAPI 3.1; or ContractError."""
    text = _fetch(source) if source.startswith(("http://", "https://")) else _read(source)
    try:
        document = _parse(text)
    except RecursionError:
        raise ContractError(f"{source}: nested too deeply to be read") from None
    except ValueError as error:
        raise ContractError(f"{source}: {error}") from None
    return normalise(document, source)


def normalise(document: Any, name: str = "document") -> Json:
    """A copy of a parsed document in the form of OpenAPI 3.1; or ContractError when it is no OpenAPI 3.0 or 3.1."""
    if not isinstance(document, dict):
        raise ContractError(f"{name}: an OpenAPI document is an object")
    version = str(document.get("openapi") or "")
    if not version.startswith(("3.0", "3.1")):
        found = f"OpenAPI {version}" if version else "no OpenAPI document"
        found = f"Swagger {document['swagger']}" if "swagger" in document else found
        raise ContractError(f"{name}: is {found}; 3.0 and 3.1 can be compared")
    for part in ("paths", "components", "info"):
        if not isinstance(document.get(part, {}), dict):
            raise ContractError(f"{name}: `{part}` is not an object")
    return _copied(document, modern=version.startswith("3.1"))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror or error}") from None
    except ValueError:
        raise ContractError(f"{path}: is not UTF-8 text") from None


def _fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=LONGEST_WAIT) as reply:  # noqa: S310  `load` looked at the scheme  # nosec B310
            return str(reply.read().decode("utf-8"))
    except urllib.error.HTTPError as error:
        error.close()
        raise ContractError(f"{url}: answered {error.code}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ContractError(f"{url}: {str(reason).splitlines()[0]}") from None


def _parse(text: str) -> Any:
    """JSON, else YAML; ValueError with one line when it is neither."""
    try:
        return json.loads(text)
    except ValueError as error:
        if text.lstrip().startswith("{"):
            raise ValueError(f"is not JSON: {error}") from None
    try:
        # YAML reads an unquoted 2026-01-31 as a date, and a status as a number: keys become text again in `_copied`.
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  a safe one  # nosec B506
    except yaml.YAMLError as error:
        raise ValueError(f"is neither JSON nor YAML: {' '.join(str(error).split())[:200]}") from None


def _copied(document: Json, *, modern: bool) -> Json:
    """A deep copy, without recursion; each object of a 3.0 document that may be a schema is rewritten."""
    root: Json = {}
    waiting: list[tuple[Any, Any, bool]] = [(document, root, False)]
    while waiting:
        source, copy, is_map = waiting.pop()
        for key, value in source.items() if isinstance(source, dict) else enumerate(source):
            if isinstance(value, dict | list) and (is_map or key not in VALUES):
                copied: Any = {} if isinstance(value, dict) else []
                # In `properties` the keys are the author's names: a member may be called `example`.
                waiting.append((value, copied, key == "properties" and not is_map))
            else:
                copied = value
            if isinstance(copy, dict):
                copy[str(key)] = copied
            else:
                copy.append(copied)
        if not modern and isinstance(copy, dict) and not is_map:
            _modernise(copy)
    return root


def _modernise(schema: Json) -> None:
    """What OpenAPI 3.0 writes differently: null, and exclusive bounds. Empty members are filled later."""
    # Without a `type`, `nullable` says nothing (OpenAPI 3.0.3): `$ref`, `allOf` and `enum` decide alone.
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("nullable"), bool):
        del schema["nullable"]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool):
            is_exclusive = schema.pop(exclusive)
            if is_exclusive and bound in schema:
                schema[exclusive] = schema.pop(bound)
    if isinstance(schema.get("$ref"), str):  # 3.0 ignores what stands beside a reference
        for key in [key for key in schema if key != "$ref"]:
            del schema[key]
