"""Who calls what: counted in memory, written in the background, never on the way of a request."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl

import structlog
from anyio.to_thread import run_sync

from app.versioning.operations import operations

FLUSH_SECONDS = 10.0
STOP_SECONDS = 1.5  # how long a stopping service goes on trying to write what is left
_LAST_TRY_SECONDS = 2.0  # how long it waits for a try that has begun: what it is written to may hang
MOST_BODY_BYTES = 64 * 1024  # of a larger body the fields are not read
_MOST_FORM_BYTES = 4 * 1024  # nor of a larger form or query: taking one apart holds up every other request
_MOST_FORM_FIELDS = 100
MOST_PRODUCTS = 1000  # met in an hour and told apart, by a worker; a flood of invented User-Agents counts as others
_PRODUCT = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110, section 10.1.5

log = structlog.get_logger("tandem.usage")


class Client(NamedTuple):
    """Who calls: the registered client that a token names, else the product of the User-Agent, else nobody known."""

    name: str
    source: Literal["token", "user-agent", "anonymous"]


ANONYMOUS = Client("anonymous", "anonymous")
OTHERS = Client("others", "anonymous")
GONE = 410

Activity = Literal["active", "quiet", "stale", "gone", "unseen"]


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


class Operation(NamedTuple):
    """A documented operation, and the names that its document knows of what may be sent."""

    name: str  # without the version: "GET /posts/{id}"
    query: frozenset[str]
    body: frozenset[str]


UNKNOWN = Operation("unknown", frozenset(), frozenset())  # what nothing is served for


class Use(NamedTuple):
    """What is counted: an hour, in UTC, of a client's calls of an operation."""

    hour: datetime
    version: str
    operation: str  # the name of an Operation
    client: Client
    status_class: int  # 2, 3, 4, 5; 410 by itself, so that it can be told whom a brownout has hit


class FieldUse(NamedTuple):
    """That a client sent a documented parameter or a top-level field of a body, and was not refused."""

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

    Of what clients send, only names that `operations` know are kept: anything else may be a secret. Use it as an
    asynchronous context manager: leaving it writes the rest. What `store` fails to write is kept for the next time.
    `on_written` is called whenever nothing is left to write.
    """

    def __init__(
        self,
        operations: Mapping[tuple[str, str | None], Operation],
        store: Callable[[Counts], None],
        interval: float = FLUSH_SECONDS,
        *,
        most_products: int = MOST_PRODUCTS,
        on_written: Callable[[], None] = lambda: None,
        patience: float = STOP_SECONDS,
    ) -> None:
        self._operations = operations
        self._store = store
        self._interval = interval
        self._most_products = most_products
        self._on_written = on_written
        self._patience = patience
        self._counts = Counts({}, {})
        self._known: set[str] = set()  # products of the hour before
        self._again: set[str] = set()  # those of them that called in this hour
        self._met: set[str] = set()  # products first met in this hour
        self._hour, self._hour_began = datetime.fromtimestamp(0, UTC), 0.0

    def note(self, call: Call) -> None:
        """Count a call. Called in the event loop alone, so that nothing needs a lock."""
        if not 0 <= (moment := time.time()) - self._hour_began < 3600:
            self._begin_hour(moment)
        operation = self._operations.get((call.method, call.route), UNKNOWN)
        client = call.client
        if client.source == "user-agent" and not self._tells_apart(
            client.name, served=call.status < 400 or call.status == GONE
        ):
            client = OTHERS
        uses, fields = self._counts
        status_class = GONE if call.status == GONE else call.status // 100
        use = Use(self._hour, call.version, operation.name, client, status_class)
        uses[use] = uses.get(use, 0) + 1
        if call.status >= 400:
            return  # what was sent is of no use: nothing was done with it
        if call.query and operation.query:
            for name in _form_names(call.query) & operation.query:
                field = FieldUse(self._hour, call.version, operation.name, client, "query", name)
                fields[field] = fields.get(field, 0) + 1
        if call.body and operation.body:
            for name in _body_names(call.body) & operation.body:
                field = FieldUse(self._hour, call.version, operation.name, client, "body", name)
                fields[field] = fields.get(field, 0) + 1

    def _tells_apart(self, product: str, *, served: bool) -> bool:
        if product in self._known:
            self._again.add(product)
        elif product not in self._met:
            # Inventing names is for free as long as the calls may be refused.
            if not served or len(self._met) >= self._most_products:
                return False
            self._met.add(product)
        return True

    def _begin_hour(self, moment: float) -> None:
        self._hour_began = moment - moment % 3600
        self._hour = datetime.fromtimestamp(self._hour_began, UTC)
        # Those that have been known for longer first: a flood may take the places of the new, never theirs.
        self._known = set(islice(chain(self._again, self._met), self._most_products))
        self._again, self._met = set(), set()

    async def flush(self) -> bool:
        """Write what was gathered so far; False when that failed."""
        counts, self._counts = self._counts, Counts({}, {})
        try:
            if counts.uses:
                await run_sync(self._store, counts)
        except BaseException as error:
            for use, count in counts.uses.items():
                self._counts.uses[use] = self._counts.uses.get(use, 0) + count
            for field, count in counts.fields.items():
                self._counts.fields[field] = self._counts.fields.get(field, 0) + count
            if not isinstance(error, Exception):
                raise
            log.warning("usage not written, kept for the next time", exc_info=True)
            return False
        self._on_written()
        return True

    async def __aenter__(self) -> None:
        self._stopped = asyncio.Event()
        self._task = asyncio.create_task(self._flush_until_stopped())

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience + _LAST_TRY_SECONDS):
                await self._task
        if self._counts.uses:
            log.warning("usage lost", calls=sum(self._counts.uses.values()))

    async def _flush_until_stopped(self) -> None:
        # Told to stop and not cancelled, which might lose what is being written at that moment.
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), self._interval)
            if not self._stopped.is_set():
                await self.flush()
        for pause in (0.0, self._patience / 3, self._patience * 2 / 3):
            await asyncio.sleep(pause)
            if await self.flush():
                return


def activity(last_seen: datetime | None, at: datetime) -> Activity:
    """How alive a client is: active for 7 days after a call, stale from 30 on, gone from 90 on, quiet in between."""
    if last_seen is None:
        return "unseen"
    age = at - last_seen
    if age <= timedelta(days=7):
        return "active"
    if age < timedelta(days=30):
        return "quiet"
    return "stale" if age < timedelta(days=90) else "gone"


def operations_of(documents: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str | None], Operation]:
    """The operations of OpenAPI documents, given by version, by method and path template: ("GET", "/v1/posts/{id}").

    HEAD is there wherever GET is, as the same operation.
    """
    found: dict[tuple[str, str | None], Operation] = {}
    for version, document in documents.items():
        for method, path, described in operations(document):
            name = f"{method} {path.removeprefix(f'/{version}')}"
            operation = Operation(name, **documented_fields(document, described))
            found[method, path] = operation
            if method == "GET":
                found["HEAD", path] = operation
    return found


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


def _form_names(form: bytes) -> set[str]:
    if len(form) > _MOST_FORM_BYTES:
        return set()
    try:
        pairs = parse_qsl(form.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FORM_FIELDS)
    except ValueError:
        return set()
    return {name for name, _ in pairs}


def _body_names(body: bytes) -> set[str]:
    if body.lstrip()[:1] != b"{":
        return _form_names(body)
    try:
        return set(json.loads(body))
    except (ValueError, RecursionError):
        return set()
