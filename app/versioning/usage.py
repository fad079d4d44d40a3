"""Who calls what: counted in memory, written in the background, never on the way of a request."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl

import structlog
from anyio.to_thread import run_sync

FLUSH_SECONDS = 10.0
MOST_BODY_BYTES = 64 * 1024  # of a larger body the fields are not read
MOST_KEYS = 50_000  # between two flushes; a flood of invented clients is counted together beyond it
_PRODUCT = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110, section 10.1.5
_METHODS = ("get", "put", "post", "delete", "patch")

log = structlog.stdlib.get_logger("tandem.usage")


class Client(NamedTuple):
    """Who calls: the registered client that a token names, else the product of the User-Agent, else nobody known."""

    name: str
    source: Literal["token", "user-agent", "anonymous"]


ANONYMOUS = Client("anonymous", "anonymous")
OTHERS = Client("others", "anonymous")
UNKNOWN_OPERATION = "unknown"
GONE = 410


def client_of(registered: str | None, user_agent: str) -> Client:
    """The client of a request, from the `client_id` of its token (None without) and its User-Agent header."""
    if registered is not None:
        return Client(registered, "token")
    product = _PRODUCT.match(user_agent)
    return Client(product[0], "user-agent") if product else ANONYMOUS


class Call(NamedTuple):
    """One request and how it was answered."""

    version: str
    method: str
    route: str | None  # the path template with the version: "/v1/posts/{id}"
    client: Client
    status: int
    query: bytes
    body: bytes  # empty when it was too large to keep
    duration: float  # seconds


class Use(NamedTuple):
    """What is counted: an hour, in UTC, of a client's calls of an operation."""

    hour: datetime
    version: str
    operation: str  # "GET /posts/{id}", or "unknown" where nothing is served
    client: Client
    status_class: int  # 2, 3, 4, 5; 410 by itself, so that it can be told whom a brownout has hit


class FieldUse(NamedTuple):
    """That a client sent a documented parameter or a top-level field of a body."""

    hour: datetime
    version: str
    operation: str
    client: Client
    place: Literal["query", "body"]
    name: str


class Counts(NamedTuple):
    """What was gathered between two flushes."""

    uses: dict[Use, int]
    fields: dict[FieldUse, int]


class Ledger:
    """Gathers calls; `store` writes them, in a thread, adding to what other workers have written.

    `documents` are the versions' OpenAPI documents by name: only what they name is kept, since anything else that a
    client sends may be a secret. Use it as an asynchronous context manager: leaving it writes the rest. What `store`
    fails to write is kept for the next time.
    """

    def __init__(
        self,
        documents: Mapping[str, Mapping[str, Any]],
        store: Callable[[Counts], None],
        interval: float = FLUSH_SECONDS,
    ) -> None:
        self._documented = {
            (name, f"{method.upper()} {path.removeprefix(f'/{name}')}"): documented_fields(document, operation)
            for name, document in documents.items()
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if method in _METHODS
        }
        self._store = store
        self._interval = interval
        self._counts = Counts({}, {})

    def note(self, call: Call) -> None:
        """Count a call. Called in the event loop alone, so that nothing needs a lock."""
        uses, fields = self._counts
        method = "GET" if call.method == "HEAD" else call.method
        operation = f"{method} {(call.route or '').removeprefix(f'/{call.version}')}"
        documented = self._documented.get((call.version, operation))
        if documented is None:
            operation = UNKNOWN_OPERATION
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        client = call.client if len(uses) + len(fields) < MOST_KEYS else OTHERS
        status_class = GONE if call.status == GONE else call.status // 100
        use = Use(hour, call.version, operation, client, status_class)
        uses[use] = uses.get(use, 0) + 1
        if documented is None or not (call.query or call.body):
            return
        place: Literal["query", "body"]
        for place, sent in (("query", _query_names(call.query)), ("body", _body_names(call.body))):
            for name in sent & documented[place]:
                field = FieldUse(hour, call.version, operation, client, place, name)
                fields[field] = fields.get(field, 0) + 1

    async def flush(self) -> None:
        """Write what was gathered so far."""
        counts, self._counts = self._counts, Counts({}, {})
        if not counts.uses:
            return
        try:
            await run_sync(self._store, counts)
        except Exception:
            log.warning("usage not written, kept for the next time", exc_info=True)
            for use, count in counts.uses.items():
                self._counts.uses[use] = self._counts.uses.get(use, 0) + count
            for field, count in counts.fields.items():
                self._counts.fields[field] = self._counts.fields.get(field, 0) + count

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._flush_for_ever())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.flush()

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            # Shielded: a stop in the middle of a write must not lose it.
            await asyncio.shield(self.flush())


def documented_fields(document: Mapping[str, Any], operation: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The names of an operation's query parameters and of the top-level fields of its body."""
    query = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"}
    body: set[str] = set()
    for media in operation.get("requestBody", {}).get("content", {}).values():
        body |= _properties(document, media.get("schema", {}))
    return {"query": frozenset(query), "body": frozenset(body)}


def _properties(document: Mapping[str, Any], schema: Mapping[str, Any]) -> set[str]:
    if (reference := schema.get("$ref")) is not None:
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        return _properties(document, node)
    found = set(schema.get("properties", ()))
    for keyword in ("oneOf", "anyOf", "allOf"):
        for part in schema.get(keyword, ()):
            found |= _properties(document, part)
    return found


def _query_names(query: bytes) -> set[str]:
    return {name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)} if query else set()


def _body_names(body: bytes) -> set[str]:
    if not body:
        return set()
    if body.lstrip()[:1] != b"{":
        return _query_names(body)  # a form
    try:
        return set(json.loads(body))
    except (ValueError, RecursionError):
        return set()
