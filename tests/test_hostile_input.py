"""Input that nobody should send, in every position of every operation that both documents name.

What is refused where, and how it is worded, the tests of each version say; here nothing may be left out: a new
operation or parameter is tried as soon as it is documented.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_from_bytes

import pytest

from app.api import VERSIONS
from app.domain import users
from app.versioning import ApiVersion

ROOT = Path(__file__).parents[1]
DEPTH = 100_000
FORM = "application/x-www-form-urlencoded"
MARK = "zq7f3a"  # no refusal may hold it
DIGITS = "9" * 5000

TEXTS = {
    "NUL": f"{MARK}\x00".encode(),
    "lone surrogate": MARK.encode() + b"\xed\xa0\x80",
    "no UTF-8": MARK.encode() + b"\xff\xfe",
    "overlong": MARK.encode() + b"\xc0\x80",
    "2^63": str(2**63).encode(),
    "-2^63": str(-(2**63) - 1).encode(),
    "10^30": str(10**30).encode(),
    "5,000 digits": DIGITS.encode(),
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "1e400": b"1e400",
    "line ends": f"{MARK}\r\nX-{MARK}: 1\r\n\r\n".encode(),
    "wildcards": b"%_%%__",
    "other digits": "\u0661\u06f2".encode(),
    "nothing": b"",
    "traversal": f"../../{MARK}".encode(),
    "markup": f"'\"><script>{MARK}</script>".encode(),
    "template": b"${{7*7}}%n%s{0}",
}
LITERALS = {  # of JSON
    "NUL": rf'"{MARK}\u0000"',
    "lone surrogate": rf'"{MARK}\ud800"',
    "swapped surrogates": rf'"\udfff\ud800{MARK}"',
    "2^63": str(2**63),
    "10^30": str(10**30),
    "5,000 digits": DIGITS,
    "-5,000 digits": "-" + DIGITS,
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e400": "1e400",
    "0.1": "0.1",
    "null": "null",
    "true": "true",
    "list": f'["{MARK}", [{{}}]]',
    "object": rf'{{"{MARK}\ud800": ["\u0000"]}}',
}
KEYS = (rf"{MARK}\u0000", rf"{MARK}\ud800", r"\udfff\ud800", "__proto__", "", f"{MARK}/~", DIGITS)
GOOD = '{"title": "t", "content": "c", "email": "e@example.com", "password": "long enough", "post_id": 1, "dir": 1}'
BODIES = {
    "nothing": b"",
    "BOM": b"\xef\xbb\xbf" + GOOD.encode(),
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-16 without BOM": GOOD.encode("utf-16-le"),
    "UTF-32": GOOD.encode("utf-32"),
    "no UTF-8": GOOD.replace("t", "\xff").encode("latin-1"),
    "cut UTF-8": b'{"title": "\xe2\x82',
    "deep lists": b"[" * DEPTH,
    "deep objects": b'{"a":' * DEPTH,
    "deep and closed": b"[" * DEPTH + b"]" * DEPTH,
    "gzip": bytes.fromhex("1f8b0800000000000003"),
    "two values": GOOD.encode() * 2,
    "number": DIGITS.encode(),
    "NaN": b"NaN",
    "NUL": b"\x00" * 1000,
    "many members": ("{" + ", ".join(f'"{MARK}{number}": 1' for number in range(5000)) + "}").encode(),
}


class Operation(NamedTuple):
    version: ApiVersion
    method: str
    path: str
    described: dict[str, Any]  # as the document has it
    schemas: dict[str, Any]  # of the document

    def parameters(self, place: str) -> list[dict[str, Any]]:
        return [one for one in self.described.get("parameters", []) if one["in"] == place]

    def bodies(self) -> dict[str, Any]:
        """The schemas of the body, by media type."""
        content = self.described.get("requestBody", {}).get("content", {})
        return {kind: self.resolved(media["schema"]) for kind, media in content.items()}

    def resolved(self, schema: Any) -> Any:
        return self.schemas[schema["$ref"].rsplit("/")[-1]] if "$ref" in schema else schema


def operations() -> Iterator[Operation]:
    """All that was released."""
    for version in VERSIONS:
        document = json.loads((ROOT / "contracts" / f"{version.name}.json").read_text())
        for path, item in document["paths"].items():
            for method, described in item.items():
                yield Operation(version, method.upper(), path, described, document["components"]["schemas"])


ALL = list(operations())


def each(operations: list[Operation]) -> Any:
    return pytest.mark.parametrize("operation", operations, ids=[f"{one.method} {one.path}" for one in operations])


@pytest.fixture
def admin(steps, database):
    """Somebody for whom no operation is refused before its input is looked at, and with a post, whose id is 1."""
    person = steps.person()
    with database.write() as connection:
        users.promote(connection, person.email)
    steps.post(person)
    return person


def unharmed(reply: Any, version: Any) -> None:
    """Not a bug, nothing repeated, nothing written into headers, and a refusal in the version's own form."""
    assert reply.status_code < 500, reply.text
    for name, value in reply.headers.multi_items():
        assert "\r" not in name + value
        assert "\n" not in name + value
        assert MARK not in name
    if reply.status_code < 400:
        return
    body = reply.json()
    if "error" in body:  # RFC 6749
        assert set(body) == {"error", "error_description"}
    else:
        assert reply.headers["content-type"] == version.errors.media_type
    shown = {name: value for name, value in body.items() if name != "request_id"}
    if not any("parameter" in error for error in body.get("errors", ())):
        shown.pop("instance", None)  # the path, where it is not what is refused
    text = json.dumps(shown)
    assert MARK not in text or (reply.status_code == 422 and "extra_forbidden" in text), text[:500]
    assert "99999" not in text
    assert str(10**30) not in text
    if version.name == "v1":
        assert list(body) == ["detail"]
        assert isinstance(body["detail"], str) or all(list(error) == ["loc", "msg", "type"] for error in body["detail"])


def filled(path: str, **given: str) -> str:
    """The path with its parameters, of which those that are not given name something that exists."""
    usual = {"post_id": "1", "user_id": "1", "client_id": "billing", "version": "v1"}
    return path.format(**{**usual, **given})


@each([one for one in ALL if one.parameters("path") or one.parameters("query")])
def test_in_paths_and_queries(client, admin, operation):
    """Hostile text in each parameter of the path and the query is answered below 500, and is no number."""
    for parameter in operation.parameters("path") + operation.parameters("query"):
        for text in TEXTS.values():
            quoted = quote_from_bytes(text, safe="")
            in_path = parameter["in"] == "path"
            if in_path and not text:
                continue  # another path
            path = filled(operation.path, **({parameter["name"]: quoted} if in_path else {}))
            target = path if in_path else f"{path}?{parameter['name']}={quoted}"
            reply = client.request(operation.method, target, headers=admin.headers)
            unharmed(reply, operation.version)
            assert parameter["schema"].get("type") != "integer" or reply.status_code >= 400, f"{target[:99]} was taken"


@each(ALL)
def test_in_headers(client, steps, admin, operation):
    """Hostile text in every header that anything reads is answered below 500."""
    names = {"Accept", "Accept-Encoding", "Content-Type", "Cookie", "Idempotency-Key", "If-Match", "If-None-Match"}
    names |= {"If-Modified-Since", "Origin", "Range", "User-Agent", "X-Forwarded-For", "X-Request-ID"}
    names |= {parameter["name"] for parameter in operation.parameters("header")}
    for text in (*TEXTS.values(), b'"' * 5000, b'W/"a", ' * 5000, b"application/json; charset=" + b"\xff" * 99):
        person = steps.person() if operation.described["operationId"] == "delete_account" else admin
        headers = {"Authorization": person.headers["Authorization"].encode(), **dict.fromkeys(names, text)}
        raw = {name.encode(): value for name, value in headers.items()}
        reply = client.request(operation.method, filled(operation.path), headers=raw, content=b"{}")
        unharmed(reply, operation.version)


@each([one for one in ALL if set(one.bodies()) - {FORM}])
def test_in_bodies(client, admin, operation):
    """Hostile values at each member, hostile keys, and bodies that are no JSON text are answered below 500."""
    for kind, schema in list(operation.bodies().items())[-1:]:
        good = {name: json.dumps(example(schema["properties"][name])) for name in schema.get("required", [])}
        bodies = list(BODIES.values())
        for name in schema["properties"]:
            bodies += [as_json({**good, name: literal}) for literal in LITERALS.values()]
            bodies.append(as_json({**good, name: "1"})[:-1] + b", " + as_json({name: '{"a": 1}'})[1:])
        bodies += [as_json({**good, key: literal}) for key in KEYS for literal in ("1", LITERALS["object"])]
        for body in bodies:
            headers = {**admin.headers, "Content-Type": kind}
            reply = client.request(operation.method, filled(operation.path), content=body, headers=headers)
            unharmed(reply, operation.version)


@each([one for one in ALL if FORM in one.bodies()])
def test_in_forms(client, operation):
    """Hostile values of each field of a form, and hostile names of fields, are answered below 500."""
    schema = operation.bodies()[FORM]
    bodies = [
        b"a&" * 100_000,
        b"=" * 100_000,
        b"%" * 100_000,
        b"a=" + b"%zz" * 1000,
        b"\xff\x00=\xff",
        *BODIES.values(),
    ]
    for one in schema.get("oneOf", [schema]):
        good = {name: quote(str(example(one["properties"][name]))) for name in one["required"]}
        forms = [{**good, name: quote_from_bytes(text)} for name in one["properties"] for text in TEXTS.values()]
        forms += [{**good, quote_from_bytes(text): "1"} for text in TEXTS.values()]
        bodies += ["&".join(f"{name}={value}" for name, value in fields.items()).encode() for fields in forms]
        bodies.append(b"&".join([bodies[-1]] * 1000))
    for body in bodies:
        reply = client.request(operation.method, operation.path, content=body, headers={"Content-Type": FORM})
        unharmed(reply, operation.version)
    parts = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n\xff\r\n' * 5000
    for kind in (
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=" + "x" * 999,
    ):
        reply = client.request(operation.method, operation.path, content=parts, headers={"Content-Type": kind})
        unharmed(reply, operation.version)


def example(schema: Any) -> Any:
    return schema["examples"][0] if "examples" in schema else schema.get("const", schema.get("enum", ["x"])[0])


def as_json(members: dict[str, str]) -> bytes:
    """An object of keys and values that are JSON already."""
    return ("{" + ", ".join(f'"{name}": {literal}' for name, literal in members.items()) + "}").encode()
