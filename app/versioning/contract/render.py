"""Writes a comparison down: for a terminal, a review, a program, or GitHub's annotations."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum

from app.versioning.contract.change import Change, Verdict, compatible


class Format(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    GITHUB = "github"


HEADINGS = {
    Verdict.BREAKING: "Breaking",
    Verdict.UNPROVABLE: "Cannot prove compatible (counts as breaking)",
    Verdict.COMPATIBLE: "Compatible",
    Verdict.NOTE: "Worth knowing",
}
MOST_OPERATIONS = 3  # named where the same change hits many; the rest is counted

Grouped = tuple[Change, list[str]]


def render(changes: Sequence[Change], form: Format) -> str:
    """The changes as text, without a final line break. Only JSON names every operation that a shared schema hits."""
    return FORMATS[form](changes)


def _grouped(changes: Sequence[Change], verdict: Verdict) -> list[Grouped]:
    """The same change of a shared schema once, with the operations that it hits."""
    groups: dict[tuple[str, str, str], Grouped] = {}
    for change in changes:
        if change.verdict is verdict:
            # The subject differs between operations ("reply 200", "reply 201"); the place and the rest do not.
            rest = change.what.partition(": `")[2] or change.what
            group = groups.setdefault((change.document, change.pointer, rest), (change, []))
            name = f"{change.method} {change.path}".strip()
            if name and name not in group[1]:
                group[1].append(name)
    return list(groups.values())


def _operations(names: list[str]) -> str:
    if not names:
        return "the document"
    more = len(names) - MOST_OPERATIONS
    return ", ".join(names[:MOST_OPERATIONS]) + (f" and {more} more" if more > 0 else "")


def _summary(changes: Sequence[Change]) -> str:
    counts = {verdict: len(_grouped(changes, verdict)) for verdict in Verdict}
    told = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    answer = "compatible" if compatible(changes) else "not compatible"
    return f"{answer}: {told}" if told else f"{answer}: no changes"


def _text(changes: Sequence[Change]) -> str:
    lines = []
    for verdict, heading in HEADINGS.items():
        groups = _grouped(changes, verdict)
        if groups:
            lines += [heading, ""]
        for change, names in groups:
            lines += [f"  {_operations(names)}", f"    {change.what}", f"    at {_at(change)}"]
            if change.fails:
                lines += [f"    breaks {change.breaks}; instead: {change.instead}"]
            lines += [""]
    return "\n".join([*lines, _summary(changes)])


def _at(change: Change) -> str:
    return change.pointer + (" (old document)" if change.document == "old" else "")


def _markdown(changes: Sequence[Change]) -> str:
    lines = [f"**{_summary(changes)}**"]
    for verdict, heading in HEADINGS.items():
        groups = _grouped(changes, verdict)
        if groups:
            lines += [
                "",
                f"### {heading}",
                "",
                "| operation | change | where | breaks | instead |",
                "|---|---|---|---|---|",
            ]
        for change, names in groups:
            breaks = change.breaks if change.fails else ""
            cells = (_operations(names), change.what, f"`{_at(change)}`", breaks, change.instead)
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def _json(changes: Sequence[Change]) -> str:
    answer = {"compatible": compatible(changes), "changes": [asdict(change) for change in changes]}
    return json.dumps(answer, indent=2, ensure_ascii=False)


def _github(changes: Sequence[Change]) -> str:
    """Workflow commands; their text must not hold raw line breaks, nor per cent signs that are no escapes."""
    levels = {
        Verdict.BREAKING: "error",
        Verdict.UNPROVABLE: "error",
        Verdict.COMPATIBLE: "notice",
        Verdict.NOTE: "warning",
    }
    lines = []
    for verdict, level in levels.items():
        for change, names in _grouped(changes, verdict):
            advice = f" Breaks {change.breaks}; instead: {change.instead}." if change.fails else ""
            message = f"{_operations(names)}: {change.what}, at {_at(change)}.{advice}"
            escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
            lines.append(f"::{level} title={HEADINGS[verdict]}::{escaped}")
    return "\n".join([*lines, _summary(changes)])


FORMATS = {Format.TEXT: _text, Format.MARKDOWN: _markdown, Format.JSON: _json, Format.GITHUB: _github}
