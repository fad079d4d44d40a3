"""The operations of the versions' OpenAPI documents."""

from collections.abc import Iterator, Mapping
from typing import Any

METHODS = ("get", "put", "post", "delete", "patch")  # HEAD is answered wherever GET is, and not documented


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The method, path template and description of each operation, in the document's order: ("GET", "/v1/posts", …)."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield method.upper(), path, operation
