"""The corpus: changes to a document, each with the verdict that a comparison must reach."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

HERE = Path(__file__).parent
VERDICTS = {"b": "breaking", "c": "compatible", "u": "unprovable"}
SCHEMA_OF = {
    "request": "/paths/~1probe/post/requestBody/content/application~1json/schema",
    "reply": "/paths/~1probe/post/responses/200/content/application~1json/schema",
}


class Case(NamedTuple):
    kind: str
    name: str
    old: dict[str, Any]
    new: dict[str, Any]
    verdict: str


def cases() -> list[Case]:
    """Every change as two whole documents; a pair of schemas is two changes, one to a request and one to a reply."""
    found = []
    for entry in _read("schemas.yaml"):
        for side, pointer in SCHEMA_OF.items():
            documents = []
            for word in ("old", "new"):
                document = _base(entry)
                document["components"]["schemas"].update(copy.deepcopy(entry.get(f"{word}_defs", {})))
                _edit(document, "set", pointer, entry[word])
                documents.append(document)
            found.append(_case(entry, f"{entry['name']} ({side})", documents, entry[side]))
    for entry in _read("changes.yaml"):
        documents = [_base(entry), _base(entry)]
        for index, edits in ((0, entry.get("first", [])), (1, entry.get("first", []) + entry["edits"])):
            for edit in edits:
                _edit(documents[index], *edit)
        found.append(_case(entry, entry["name"], documents, entry["verdict"]))
    return found


def _case(entry: Any, name: str, documents: list[dict[str, Any]], verdict: str) -> Case:
    return Case(entry["kind"], f"{name}, {documents[0]['openapi']}", documents[0], documents[1], VERDICTS[verdict])


def _read(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


def _base(entry: Any) -> dict[str, Any]:
    document: dict[str, Any] = _read("base.yaml")
    document["openapi"] = {"3.0": "3.0.3", "3.1": "3.1.0"}[entry.get("in", "3.1")]
    return document


def _edit(document: Any, what: str, pointer: str, value: Any = None) -> None:
    *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    place = document
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    if what == "move":
        moved = place.pop(int(last) if isinstance(place, list) else last)
        _edit(document, "set", value, moved)
    elif what == "remove":
        del place[int(last) if isinstance(place, list) else last]
    elif isinstance(place, list) and last == "-":
        place.append(copy.deepcopy(value))
    else:
        place[int(last) if isinstance(place, list) else last] = copy.deepcopy(value)
