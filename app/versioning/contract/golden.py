"""Recorded exchanges: how they are kept in files, and how a reply is compared with the recorded one, byte for byte.

A recording holds nothing that changes from run to run. What is random by nature is called by a placeholder: a request
says `{token:ada}` where the token is to be put in, and a reply from which a value is captured is kept with the
placeholder in its place. `{repeat:x:1000}` stands for a thousand x.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from app.versioning.contract.load import ContractError

_PLACEHOLDER = re.compile(r"""\{([a-z]+:[^{}"']+)\}""")
_LONGEST_QUOTE = 160


@dataclass(frozen=True)
class Request:
    """What is sent. Path, headers and body may hold placeholders; bytes that are no UTF-8 stand as surrogate escapes.

    `at` is the moment at which the clock stands (RFC 3339; empty: the usual one); `given` names circumstances that
    whoever replays it must bring about; `captures` says which placeholder to remember from where in the reply's body
    (a JSON pointer).
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    at: str = ""
    given: str = ""
    captures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What came back: the status, the headers that were chosen (names in lower case), and the exact text."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Exchange:
    """A request and the reply it must get, under a name that says what it shows."""

    name: str
    request: Request
    reply: Reply


@dataclass(frozen=True)
class Difference:
    """One thing that is not as recorded: where, what sort of thing, both values for people to read, and what to do."""

    place: str
    kind: str
    expected: str
    actual: str

    def __str__(self) -> str:
        what = self.place if self.place == self.kind else f"{self.place}: {self.kind}"
        return f"{what}: recorded {self.expected}, now {self.actual}. {_ADVICE[self.kind]}"


_ADVICE = {
    "status": "Answer with the recorded status.",
    "header missing": "Send this header again.",
    "header added": "Do not send this header here.",
    "header value": "Give this header its recorded value.",
    "member missing": "Write this member again, under its recorded name.",
    "member added": "Take this member out of the reply.",
    "absent for null": "Write the member with null; do not leave it out.",
    "null for absent": "Leave the member out; do not write it as null.",
    "null": "null and a value are not the same to a client: write what was recorded.",
    "key order": "Declare the members of the model in their recorded order.",
    "type": "Write the value as the recorded JSON type.",
    "number": "Compute the recorded number (a default, a count or an id has changed).",
    "number format": "Write the number with its recorded digits.",
    "time": "Give the recorded moment.",
    "time format": "Write times as recorded: the same moment was meant, its spelling has changed.",
    "true or false": "Give the recorded value (a default has changed, perhaps).",
    "text": "Word it as recorded.",
    "number of items": "Give the recorded items (a filter, a page size, or who may see what has changed).",
    "order of items": "Sort as recorded (an order has changed, or what decides between equals).",
    "other items": "Give the recorded items (a filter, an order, or who may see what has changed).",
    "spelling": "The values agree but not the bytes: white space or escapes of the JSON writer have changed.",
}


# Files


def save(path: Path, exchanges: Sequence[Exchange]) -> None:
    """Write one scenario as a canonical file, which `load` gives back exactly; headers of every reply stand once."""
    first = exchanges[0].reply.headers.items()
    shared = {name: value for name, value in first if all(e.reply.headers.get(name) == value for e in exchanges)}
    document = {"headers of every reply": shared, "exchanges": [_to_json(exchange, shared) for exchange in exchanges]}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "backslashreplace") + b"\n")  # \udcff is how JSON itself escapes it
    if load(path) != list(exchanges):
        raise ValueError(f"{path} would not give back what was written: lone surrogates beside each other?")


def load(path: Path) -> list[Exchange]:
    """The exchanges of one scenario, in their order. ContractError for a file that holds none."""
    try:
        document = json.loads(path.read_text("utf-8"))
        return [_of_json(item, document["headers of every reply"]) for item in document["exchanges"]]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ContractError(f"{path} is no recording: {type(error).__name__}: {error}") from None


def _to_json(exchange: Exchange, shared: Mapping[str, str]) -> dict[str, Any]:
    request, reply = exchange.request, exchange.reply
    asked = {
        "method": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "at": request.at,
        "given": request.given,
        "captures": dict(request.captures),
    }
    own = {name: value for name, value in sorted(reply.headers.items()) if name not in shared}
    return {
        "name": exchange.name,
        "request": {**{key: value for key, value in asked.items() if value}, **_body_to_json(request.body)},
        "reply": {"status": reply.status, **({"headers": own} if own else {}), **_body_to_json(reply.body)},
    }


def _of_json(item: Mapping[str, Any], shared: Mapping[str, str]) -> Exchange:
    asked = {key: value for key, value in item["request"].items() if key not in ("json", "text")}
    reply = item["reply"]
    return Exchange(
        item["name"],
        Request(**asked, body=_body_of_json(item["request"])),
        Reply(reply["status"], {**shared, **reply.get("headers", {})}, _body_of_json(reply)),
    )


def _body_to_json(body: str) -> dict[str, Any]:
    """A body as a JSON value where the compact form of that value is the very same text, else as text."""
    if not body:
        return {}
    try:
        value = json.loads(body)
        exact = _compact(value) == body
    except (ValueError, RecursionError):
        exact = False
    return {"json": value} if exact else {"text": body}


def _body_of_json(item: Mapping[str, Any]) -> str:
    return _compact(item["json"]) if "json" in item else str(item.get("text", ""))


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


# Placeholders


def expand(text: str, values: Mapping[str, str]) -> str:
    """The text with every placeholder replaced by its value. KeyError for one that has none."""

    def value_of(found: re.Match[str]) -> str:
        kind, _, rest = found[1].partition(":")
        if kind == "repeat":
            piece, _, times = rest.rpartition(":")
            return piece * int(times)
        return values[found[1]]

    return _PLACEHOLDER.sub(value_of, text)


def mask(text: str, values: Mapping[str, str]) -> str:
    """The text with every value replaced by its placeholder."""
    for name, value in values.items():
        text = text.replace(value, f"{{{name}}}")
    return text


def capture(request: Request, body: str, shapes: Mapping[str, str]) -> dict[str, str]:
    """The values that the request wants remembered from this reply, by placeholder.

    `shapes` has a pattern for each kind of value ("token"). What is not there, or not of that shape, is left out; the
    comparison then shows it as it is.
    """
    found = {}
    for name, pointer in request.captures.items():
        value = _at(body, pointer)
        if isinstance(value, str) and re.fullmatch(shapes[name.partition(":")[0]], value):
            found[name] = value
    return found


def _at(body: str, pointer: str) -> Any:
    try:
        value = json.loads(body)
        for step in pointer.split("/")[1:]:
            value = value[int(step)] if isinstance(value, list) else value[step]
    except (ValueError, LookupError, TypeError):
        return None
    return value


# Coverage


def operation_of(document: Mapping[str, Any], request: Request, *, ignores_trailing_slash: bool) -> str | None:
    """The operation of an OpenAPI document that a request is meant for, as "GET /things/{id}"; None for none.

    A template without parameters goes before one with, as routes do.
    """
    path = request.path.partition("?")[0]
    if ignores_trailing_slash:
        path = path.removesuffix("/")
    for template in sorted(document["paths"], key=lambda template: template.count("{")):
        pattern = "".join(
            "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"({.*?})", template)
        )
        if re.fullmatch(pattern, path):
            served = request.method.lower() in document["paths"][template]
            return f"{request.method} {template}" if served else None
    return None


# Comparison


class _Number(str):
    """A number as it is spelled."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """The members of an object, in order, repeated names too."""


def compare(expected: Reply, actual: Reply) -> list[Difference]:
    """Everything in which the two differ, to the byte; nothing when they are the same.

    Of replies with two statuses that is all: one is a refusal, perhaps, and has no member of the other's.
    """
    if expected.status != actual.status:
        both = [f"{reply.status} {_quoted(reply.body)}" for reply in (expected, actual)]
        return [Difference("status", "status", *both)]
    found = []
    for name in sorted({*expected.headers, *actual.headers}):
        was, now = expected.headers.get(name), actual.headers.get(name)
        if was != now:
            kind = "header missing" if now is None else "header added" if was is None else "header value"
            found.append(Difference(f"header {name}", kind, _quoted(was), _quoted(now)))
    return found + _compare_bodies(expected.body, actual.body)


def _compare_bodies(expected: str, actual: str) -> list[Difference]:
    if expected == actual:
        return []
    try:
        found = _walk("", _parse(expected), _parse(actual))
    except (ValueError, RecursionError):
        return [Difference("body", "text", _quoted(expected), _quoted(actual))]
    if found:
        return found
    at = next(i for i, pair in enumerate(zip(f"{expected}\0", f"{actual}\0", strict=False)) if pair[0] != pair[1])
    return [Difference(f"body, character {at}", "spelling", _quoted(expected[at:]), _quoted(actual[at:]))]


def _parse(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number, parse_constant=_Number)


def _walk(pointer: str, expected: Any, actual: Any) -> list[Difference]:
    place = f"body #{pointer}"
    if _type(expected) != _type(actual):
        kind = "null" if expected is None or actual is None else "type"
        return [Difference(place, kind, _shown(expected), _shown(actual))]
    if isinstance(expected, _Object):
        return _walk_members(pointer, expected, actual)
    if isinstance(expected, list):
        return _walk_items(pointer, expected, actual)
    if expected == actual:
        return []
    return [Difference(place, _kind_of_value(expected, actual), _shown(expected), _shown(actual))]


def _walk_items(pointer: str, expected: list[Any], actual: list[Any]) -> list[Difference]:
    """One difference where the items are others, and have nothing to do with those in their place; else each one's."""
    was = [_name(item, item) for item in expected]
    model = next(iter(expected or actual), None)
    now = [_name(item, like) for item, like in zip_longest(actual, expected[: len(actual)], fillvalue=model)]
    kind = ""
    if len(was) != len(now):
        kind = "number of items"
    elif was != now and None not in now and sorted(map(str, was)) == sorted(map(str, now)):
        kind = "order of items"
    elif was != now and all(isinstance(name, _Number) for name in (*was, *now)):
        kind = "other items"
    if kind:
        return [Difference(f"body #{pointer}", kind, _listed(was), _listed(now))]
    pairs = enumerate(zip(expected, actual, strict=True))
    return [found for index, (one, other) in pairs for found in _walk(f"{pointer}/{index}", one, other)]


def _name(item: Any, like: Any) -> Any:
    """What an item is called by: itself, or the member that the recorded one begins with; None when it has none."""
    while isinstance(like, _Object) and like:
        name, like = like[0]
        item = dict(item).get(name) if isinstance(item, _Object) else None
    return item


def _listed(names: list[Any]) -> str:
    return f"{len(names)} items" + (f": {_quoted(', '.join(map(_spelled, names)), '')}" if names else "")


def _walk_members(pointer: str, expected: _Object, actual: _Object) -> list[Difference]:
    found = []
    was, now = dict(expected), dict(actual)
    for name in [*was, *(name for name in now if name not in was)]:
        inner = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in now:
            kind = "absent for null" if was[name] is None else "member missing"
            found.append(Difference(f"body #{inner}", kind, _shown(was[name]), "absent"))
        elif name not in was:
            kind = "null for absent" if now[name] is None else "member added"
            found.append(Difference(f"body #{inner}", kind, "absent", _shown(now[name])))
        else:
            found += _walk(inner, was[name], now[name])
    order, order_now = [name for name, _ in expected if name in now], [name for name, _ in actual if name in was]
    if order != order_now:
        found.append(Difference(f"body #{pointer}", "key order", ", ".join(order), ", ".join(order_now)))
    return found


def _kind_of_value(expected: Any, actual: Any) -> str:
    if isinstance(expected, bool):
        return "true or false"
    if isinstance(expected, _Number):
        return "number format" if float(expected) == float(actual) else "number"
    was, now = _moment(expected), _moment(actual)
    if was is None or now is None:
        return "text"
    return "time format" if was == now else "time"


def _moment(text: str) -> datetime | None:
    if not re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _type(value: Any) -> str:
    return "object" if isinstance(value, _Object) else type(value).__name__


def _shown(value: Any) -> str:
    return _quoted(_spelled(value), "")


def _spelled(value: Any) -> str:
    """JSON for people to read, with numbers as they came."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, _Object):
        return "{" + ", ".join(f"{json.dumps(name)}: {_spelled(inner)}" for name, inner in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_spelled, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str | None, mark: str = "`") -> str:
    """The text, in marks, cut where it gets long, and safe to print."""
    if text is None:
        return "absent"
    cut = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}… ({len(text)} characters)"
    return f"{mark}{cut.encode('utf-8', 'backslashreplace').decode()}{mark}"
