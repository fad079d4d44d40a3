"""The report of what was proven: one self-contained HTML page, with nothing loaded from elsewhere.

It joins the documents with what was observed: recorded exchanges that are replayed, and the requests that Schemathesis
made, read from HTTP archives (HAR 1.2).
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.versioning.operations import operations


@dataclass(frozen=True)
class Observation:
    """A request that was made, and the status it got."""

    method: str
    path: str
    status: int


@dataclass
class OperationProof:
    """What is documented of one operation, and how often each status was met."""

    method: str
    path: str
    documented: tuple[str, ...]
    cases: Counter[str] = field(default_factory=Counter)
    golden: Counter[str] = field(default_factory=Counter)

    @property
    def reached(self) -> set[str]:
        return (self.cases.keys() | self.golden.keys()) & set(self.documented)


@dataclass(frozen=True)
class VersionProof:
    """What is proven of one version. `compatibility` is one sentence, `holds` whether it is good news."""

    name: str
    operations: list[OperationProof]
    compatibility: str
    holds: bool


def read_archive(file: Path) -> Iterable[Observation]:
    """The requests of an HTTP archive."""
    for entry in json.loads(file.read_text(encoding="utf-8"))["log"]["entries"]:
        request, response = entry["request"], entry["response"]
        yield Observation(request["method"], urlsplit(request["url"]).path, int(response["status"]))


def prove(
    name: str,
    document: Mapping[str, Any],
    *,
    cases: Iterable[Observation],
    golden: Iterable[Observation],
    compatibility: str,
    holds: bool,
) -> VersionProof:
    """Sort what was observed to the operations of the document; what belongs to none is left out."""
    proven = [
        OperationProof(method, path, tuple(sorted(operation["responses"])))
        for method, path, operation in operations(document)
    ]
    # Literal segments before parameters: /users/me is not /users/{user_id}.
    found = sorted(proven, key=lambda operation: operation.path.count("{"))
    patterns = [(operation, _pattern(operation.path)) for operation in found]
    for observations, counter in ((cases, "cases"), (golden, "golden")):
        for seen in observations:
            for operation, pattern in patterns:
                if seen.method == operation.method and pattern.fullmatch(seen.path):
                    getattr(operation, counter)[str(seen.status)] += 1
                    break
    return VersionProof(name, proven, compatibility, holds)


def _pattern(template: str) -> re.Pattern[str]:
    parts = [r"[^/]+" if part.startswith("{") else re.escape(part) for part in template.split("/")]
    return re.compile("/".join(parts) + "/?")


def render(proofs: Sequence[VersionProof], made_at: str) -> str:
    """The page. `made_at` is the moment it speaks of, as people read it."""
    body = "".join(_version(proof) for proof in proofs)
    return _PAGE.format(made_at=escape(made_at), picture=_picture(proofs), body=body)


def _version(proof: VersionProof) -> str:
    rows = "".join(_row(operation) for operation in proof.operations)
    mark = "good" if proof.holds else "bad"
    golden = sum(sum(operation.golden.values()) for operation in proof.operations)
    cases = sum(sum(operation.cases.values()) for operation in proof.operations)
    return (
        f"<section><h2>{escape(proof.name)}</h2>"
        f'<p class="{mark}">{escape(proof.compatibility)}</p>'
        f"<p>{len(proof.operations)} operations, {golden} recorded exchanges replayed, {cases} generated cases.</p>"
        "<table><thead><tr><th scope=col>operation</th><th scope=col>statuses: documented, and reached</th>"
        "<th scope=col>recorded</th><th scope=col>generated</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></section>"
    )


def _row(operation: OperationProof) -> str:
    chips = " ".join(
        f'<span class="chip {"good" if status in operation.reached else "open"}" '
        f'title="{operation.golden[status]} recorded, {operation.cases[status]} generated">{status}</span>'
        for status in operation.documented
    )
    return (
        f"<tr><th scope=row><code>{operation.method} {escape(operation.path)}</code></th><td>{chips}</td>"
        f"<td>{sum(operation.golden.values())}</td><td>{sum(operation.cases.values())}</td></tr>"
    )


def _picture(proofs: Sequence[VersionProof]) -> str:
    """A square for every operation and documented status: filled when it was reached."""
    size, gap, left = 14, 3, 260
    squares, labels, y = [], [], 0
    for proof in proofs:
        for operation in proof.operations:
            name = f"{operation.method} {operation.path}"
            labels.append(f'<text x="{left - 8}" y="{y + size - 3}" text-anchor="end">{escape(name)}</text>')
            for index, status in enumerate(operation.documented):
                kind = "good" if status in operation.reached else "open"
                x = left + index * (size + gap) * 2
                squares.append(
                    f'<rect class="{kind}" x="{x}" y="{y}" width="{size * 2}" height="{size}"><title>{escape(name)} '
                    f"{status}</title></rect>"
                    f'<text class="status" x="{x + size}" y="{y + size - 3}" text-anchor="middle">{status}</text>'
                )
            y += size + gap
        y += size
    width = left + 12 * (size + gap) * 2
    return (
        f'<svg viewBox="0 0 {width} {y}" role="img" aria-label="Statuses reached, by operation">'
        f"{''.join(labels)}{''.join(squares)}</svg>"
    )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Contract report</title>
<style>
body{{font:1rem/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}}
table{{border-collapse:collapse;width:100%}}
th,td{{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #ddd;vertical-align:top;font-weight:normal}}
thead th{{font-weight:bold}}
.chip{{display:inline-block;padding:0 .4rem;border-radius:.3rem;border:1px solid;font-size:.85rem}}
.good{{color:#0b5d2a}} .bad{{color:#a40000}} .open{{color:#6b6b6b;border-style:dashed}}
svg{{width:100%;height:auto}} svg text{{font:9px system-ui,sans-serif;fill:#1b1b1b}}
svg rect.good{{fill:#bfe6cb;stroke:#0b5d2a}} svg rect.open{{fill:#fff;stroke:#999;stroke-dasharray:2}}
</style>
</head>
<body><main>
<h1>Contract report</h1>
<p>What was proven of each version, {made_at}. A filled square is a documented status that an exchange has reached; a
dashed one is a promise that nothing has tested yet.</p>
{picture}
{body}
</main></body>
</html>
"""
