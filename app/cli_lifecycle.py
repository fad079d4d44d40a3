"""The `tandem lifecycle` commands. Exit status: 0 in order, 1 not, 2 for input that cannot be used."""

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import typer

from app.cli_support import Failure
from app.domain.clock import now
from app.versioning.checker import Announcement, Finding, announcement_of, check_headers

LONGEST_WAIT = 30  # seconds for an address to answer

commands = typer.Typer(name="lifecycle", help="What an API says of its deprecation and its end.", no_args_is_help=True)


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]


@commands.callback()
def lifecycle() -> None:
    """What an API says of its deprecation and its end."""


@commands.command()
def check(
    url: Annotated[str, typer.Argument(help="What to ask for, of any API: an http(s) address.")],
    method: Annotated[str, typer.Option(help="How to ask for it.")] = "GET",
    header: Annotated[list[str] | None, typer.Option(help="Sent along, as 'Name: value'; may be repeated.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How to write the result.")] = Format.TEXT,
    at: Annotated[str | None, typer.Option(help="Judge as of this moment, in ISO 8601.  [default: now]")] = None,
) -> None:
    """Ask once, follow no redirect, and say what is wrong with Deprecation, Sunset and Link in the reply.

    0 when nothing is or there are only warnings, 1 for an error, 2 for bad input or no reply.
    """
    moment = now() if at is None else _moment(at)
    answer = _ask(url, method, dict(_header(given) for given in header or ()))
    announcement = announcement_of(answer.headers, base_url=url)
    findings = check_headers(answer.headers, status=answer.status, at=moment, base_url=url)
    write = _json if form is Format.JSON else _text
    typer.echo(write(url, answer.status, announcement, findings))
    raise typer.Exit(1 if any(finding.severity == "error" for finding in findings) else 0)


def _text(url: str, status: int, announcement: Announcement, findings: list[Finding]) -> str:
    lines = [f"{url} answered {status}"]
    for name, moment in (("deprecation", announcement.deprecation), ("sunset", announcement.sunset)):
        if moment is not None:
            lines.append(f"  {name}: {moment:%Y-%m-%d %H:%M:%S} UTC")
    lines += [f"  {' '.join(link.relations)}: {link.target}" for link in announcement.links]
    if len(lines) == 1 and not findings:
        lines.append("  announces nothing")
    for finding in findings:
        lines += [f"{finding.severity}: {finding.header}: {finding.message}", f"  {finding.code}; {finding.section}"]
    errors = sum(finding.severity == "error" for finding in findings)
    told = f"errors: {errors}, warnings: {len(findings) - errors}" if findings else "nothing wrong"
    return "\n".join([*lines, told])


def _json(url: str, status: int, announcement: Announcement, findings: list[Finding]) -> str:
    answer = {
        "url": url,
        "status": status,
        **asdict(announcement),
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(answer, indent=2, default=datetime.isoformat)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is a reply like any other: what it says of its own resource is what was asked about."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(url: str, method: str, headers: dict[str, str]) -> Answer:
    """The status and the headers of one reply, whatever the status; wrong usage when there is none."""
    if not url.lower().startswith(("http://", "https://")):
        raise Failure(f"{url}: is no http(s) address", 2)
    try:
        request = urllib.request.Request(url, method=method, headers={"User-Agent": "tandem", **headers})  # noqa: S310
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=LONGEST_WAIT) as reply:
            return Answer(reply.status, list(reply.headers.items()))
    except urllib.error.HTTPError as reply:
        with reply:
            return Answer(reply.code, list(reply.headers.items()))
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise Failure(f"{url}: {reason.splitlines()[0]}", 2) from None


def _header(given: str) -> tuple[str, str]:
    name, colon, value = given.partition(":")
    if not colon or not name.strip():
        raise Failure(f"--header is 'Name: value', and not {given!r}", 2)
    return name.strip(), value.strip()


def _moment(given: str) -> datetime:
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise Failure(f"--at is a moment such as 2026-01-31T12:00:00Z, and not {given!r}", 2) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
