"""The documents that were released, and what has become of them since.

A released document is a promise, kept under `contracts/<version>.json` in one canonical form. A frozen version's is
compared for equality: a client that refuses unknown members breaks on an added one too. Another's is compared for
compatibility: whatever is compatible can be released, and must be, before it is served.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from fastapi.routing import iter_route_contexts

from app.versioning.contract.change import Change
from app.versioning.contract.diff import diff
from app.versioning.contract.load import ContractError, load, normalise
from app.versioning.openapi import without_announcements
from app.versioning.version import ApiVersion

_ABSENT = object()
_LONGEST_QUOTE = 300
_SCHEMA = re.compile(r"#/components/schemas/(?P<model>[^/]+)(?:/properties/(?P<field>[^/]+))?")
_OPERATION = re.compile(r"#/paths/(?P<path>[^/]+)/(?P<method>[a-z]+)")


class Wording(NamedTuple):
    """What is written otherwise at a place (a JSON pointer), and the line of the code it comes from, if known."""

    pointer: str
    was: str
    now: str
    source: str | None


@dataclass(frozen=True)
class Drift:
    """How a version's document differs from its released one.

    `changes` are those that matter to clients, each with the place in the code that it comes from, as far as it can be
    told; `wording` what else differs: descriptions, examples, titles, the order of lists.
    """

    version: str
    frozen: bool
    changes: list[tuple[Change, str | None]] = field(default_factory=list)
    wording: list[Wording] = field(default_factory=list)

    @property
    def breaking(self) -> bool:
        """Whether a client of the released document may break."""
        return self.frozen or any(change.fails for change, _ in self.changes)


def canonical(document: dict[str, Any]) -> str:
    """The one form in which a document is kept: keys sorted, indented, as UTF-8 text that ends in a line break."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def released_file(folder: Path, version: ApiVersion) -> Path:
    return folder / f"{version.name}.json"


def check(version: ApiVersion, document: dict[str, Any], folder: Path) -> Drift | None:
    """What differs between the document and the released one; None when nothing does.

    ContractError when the version was never released.
    """
    file = released_file(folder, version)
    if not file.exists():
        raise ContractError(f"{version.name} was never released; run: tandem contract release {version.name}")
    released = without_announcements(load(str(file)))
    document = without_announcements(document)
    if canonical(released) == canonical(document):
        return None
    changes = diff(normalise(released), normalise(document))
    told = {change.pointer for change in changes}
    wording = [
        Wording(pointer, _shown(was), _shown(now), source_of(version, pointer))
        for pointer, was, now in _differences(released, document, "#")
        if not _within(pointer, told)
    ]
    located = [(change, source_of(version, change.pointer)) for change in changes]
    return Drift(version.name, version.frozen, located, wording)


def release(
    version: ApiVersion, document: dict[str, Any], folder: Path, changelog: Path, correction: str | None = None
) -> Drift | None:
    """Make the document the released one, and write what changed under "Unreleased" in the changelog.

    Gives what was released; None when there was nothing to release. ContractError for what would break a client, and
    for a frozen version that has been released before: then nothing is written. A `correction` is the reason why the
    document was wrong and the service right: it lets in what breaks by the document alone, and the changelog has it.
    """
    file = released_file(folder, version)
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(canonical(document), encoding="utf-8")
        return Drift(version.name, version.frozen)
    drift = check(version, document, folder)
    if drift is None:
        # What it says of the version's end may have moved.
        file.write_text(canonical(document), encoding="utf-8")
        return None
    if drift.frozen:
        raise ContractError(f"{version.name} is frozen: its document does not change any more; put it back")
    if correction is not None and not drift.breaking:
        raise ContractError(f"{version.name} breaks no client, so there is nothing to correct; leave the reason out")
    if drift.breaking and correction is None:
        raise ContractError(f"{version.name} would break its clients; tandem contract check says how")
    lines = [f"- {version.name}: {_operation(change)}{change.what}." for change, _ in drift.changes if not change.fails]
    if correction is not None:
        lines.append(f"- {version.name}: a correction of the document: {correction}")
    lines = lines or [f"- {version.name}: wording of the document."]
    _enter(changelog, list(dict.fromkeys(lines)))
    file.write_text(canonical(document), encoding="utf-8")
    return drift


def describe(drift: Drift) -> str:
    """The drift for people: what changed, where, whom it breaks and what to do instead."""
    lines = []
    for change, source in sorted(drift.changes, key=lambda found: not found[0].fails):
        mark = "BREAKS" if drift.frozen or change.fails else "ok"
        lines.append(f"{mark:6}  {_operation(change)}{change.what}")
        lines.append(f"        at {change.pointer} of the {change.document} document{f', {source}' if source else ''}")
        if change.fails:
            lines.append(f"        breaks {change.breaks}; instead: {change.instead}")
    shown = drift.wording[:20]
    for pointer, was, now, source in shown:
        lines.append(f"{'BREAKS' if drift.frozen else 'ok':6}  {pointer}{f', {source}' if source else ''}")
        lines.append(f"        was {was}, now {now}")
    if len(drift.wording) > len(shown):
        lines.append(f"        and at {len(drift.wording) - len(shown)} more places")
    if drift.frozen:
        lines.append(f"{drift.version} is frozen: put its document back as it was released.")
    elif drift.breaking:
        lines.append(
            f"{drift.version} may only grow: make these changes in a new version, or undo them. If the service has "
            "always done so and the document alone was wrong: "
            f"tandem contract release {drift.version} --correction REASON"
        )
    else:
        what = "has grown" if drift.changes else "is worded otherwise"
        lines.append(
            f"{drift.version} {what}, and no client breaks: undo it, or if it is meant: "
            f"tandem contract release {drift.version}"
        )
    return "\n".join(lines)


def source_of(version: ApiVersion, pointer: str) -> str | None:
    """The file and line that a place in the version's document is made from; None where it cannot be told."""
    if (found := _SCHEMA.match(pointer)) is not None:
        for module in {
            context.endpoint.__module__ for context in iter_route_contexts(version.router.routes) if context.endpoint
        }:
            model = getattr(sys.modules[module], found["model"], None)
            if inspect.isclass(model):
                return _line_of(model, found["field"])
    if (found := _OPERATION.match(pointer)) is not None:
        path = found["path"].replace("~1", "/").replace("~0", "~")
        for context in iter_route_contexts(version.router.routes):
            methods = {method.lower() for method in context.methods or ()}
            if f"{version.prefix}{context.path}" == path and found["method"] in methods and context.endpoint:
                return _line_of(inspect.unwrap(context.endpoint), None)  # decorators are of other files
    return None


def _line_of(thing: Any, name: str | None) -> str:
    lines, first = inspect.getsourcelines(thing)
    if name is not None:
        declared = re.compile(rf"\s+{re.escape(name)}\s*:")
        first += next((offset for offset, line in enumerate(lines) if declared.match(line)), 0)
    file = Path(inspect.getfile(thing))
    return f"{file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}:{first}"


def _operation(change: Change) -> str:
    return f"{change.method} {change.path}: " if change.method else ""


def _within(pointer: str, told: set[str]) -> bool:
    return any(pointer == place or pointer.startswith(f"{place}/") for place in told)


def _differences(old: Any, new: Any, pointer: str) -> Iterator[tuple[str, Any, Any]]:
    """Where two documents differ, as deep as both have the same shape: the JSON pointer (as URI fragment), old, new."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            step = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            yield from _differences(old.get(key, _ABSENT), new.get(key, _ABSENT), step)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, f"{pointer}/{index}")
    elif old != new or type(old) is not type(new):
        yield pointer, old, new


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _enter(changelog: Path, lines: list[str]) -> None:
    """Put the lines under the heading "Unreleased", which is made when it is not there."""
    text = changelog.read_text(encoding="utf-8") if changelog.exists() else "# Changelog\n"
    heading = "## Unreleased\n"
    if heading not in text:
        title, _, rest = text.partition("\n")
        text = f"{title}\n\n{heading}\n{rest.lstrip()}"
    before, _, after = text.partition(heading)
    entries = "\n".join(lines)
    changelog.write_text(f"{before}{heading}\n{entries}\n{after.lstrip(chr(10))}", encoding="utf-8")
