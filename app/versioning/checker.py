"""Checks what a reply says of its resource's life: Deprecation, Sunset and Link, of any API.

RFC 9745 (Deprecation), RFC 8594 (Sunset), RFC 8288 (Link), RFC 5829 and RFC 8631 (relation types).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urldefrag, urljoin

from app.versioning.http_fields import Link, Malformed, http_date, parse_http_date, parse_links, parse_sf_date, quoted

RELATIONS = ("deprecation", "sunset", "successor-version", "latest-version", "service-desc")
MISTAKEN_RELATIONS = {
    "deprecated": "deprecation",
    "successor": "successor-version",
    "latest": "latest-version",
    "openapi": "service-desc",
}
OUTDATED = re.compile(r"deprecated|x-[a-z0-9-]*(?:deprecat|sunset)[a-z0-9-]*")

Headers = Sequence[tuple[str, str]]
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what and where, how bad, what to do about it, and which RFC says so.

    An `error` breaks what an RFC demands, so that a client may read nothing or something else. A `warning` is allowed,
    but leaves clients guessing.
    """

    code: str
    severity: Severity
    header: str
    message: str
    section: str


@dataclass(frozen=True)
class Announcement:
    """What a reply says of its resource's life; a value that its RFC does not allow says nothing."""

    deprecation: datetime | None
    sunset: datetime | None
    links: list[Link]  # of the relations that matter here, about the resource itself


def check_headers(headers: Headers, *, status: int, at: datetime, base_url: str) -> list[Finding]:
    """What is wrong with the Deprecation, Sunset and Link headers of a reply; empty when nothing is.

    `headers` as they came, repeated ones repeated; `status` of the reply; `at`, when it came, with a time zone;
    `base_url`, what was asked for: relative targets are resolved against it.
    """
    announcement, faults = _read(headers, base_url)
    return [
        *faults,
        *_about_dates(announcement, headers, status, at),
        *_about_links(announcement, headers, status, base_url),
        *_about_outdated(headers),
    ]


def announcement_of(headers: Headers, *, base_url: str) -> Announcement:
    """What the headers of a reply say, as far as they can be read."""
    return _read(headers, base_url)[0]


def _read(headers: Headers, base_url: str) -> tuple[Announcement, list[Finding]]:
    deprecation, of_deprecation = _deprecation(_values(headers, "Deprecation"))
    sunset, of_sunset = _sunset(_values(headers, "Sunset"))
    links: list[Link] = []
    of_links: list[Finding] = []
    for value in _values(headers, "Link"):
        found, faults = parse_links(value, base_url)
        links += found
        of_links += [_error("Link", fault) for fault in faults]
    here = urldefrag(base_url).url
    links = [link for link in links if link.anchor is None or urldefrag(link.anchor).url == here]
    for link in links:
        of_links += [
            Finding(
                "link-unknown-rel",
                "warning",
                "Link",
                f"`{relation}` is no registered relation; say `{MISTAKEN_RELATIONS[relation]}`",
                "RFC 8288, section 2.1.1",
            )
            for relation in link.relations
            if relation in MISTAKEN_RELATIONS
        ]
    links = [link for link in links if set(link.relations) & set(RELATIONS)]
    return Announcement(deprecation, sunset, links), [*of_deprecation, *of_sunset, *of_links]


def _deprecation(values: list[str]) -> tuple[datetime | None, list[Finding]]:
    if not values:
        return None, []
    try:
        return parse_sf_date(", ".join(values)), []  # how an item in several lines is read (RFC 9651, section 4.2)
    except Malformed as fault:
        return None, [_error("Deprecation", fault)]


def _sunset(values: list[str]) -> tuple[datetime | None, list[Finding]]:
    if len(values) > 1:
        message = f"sent {len(values)} times; send one date, since clients take any of them or none"
        return None, [Finding("sunset-repeated", "error", "Sunset", message, "RFC 9110, section 5.3")]
    try:
        return (parse_http_date(values[0]) if values else None), []
    except Malformed as fault:
        return None, [_error("Sunset", fault)]


def _about_dates(announcement: Announcement, headers: Headers, status: int, at: datetime) -> list[Finding]:
    deprecation, sunset = announcement.deprecation, announcement.sunset
    findings = []
    if deprecation is not None and sunset is not None and sunset < deprecation:
        message = f"the sunset is earlier than the deprecation, {http_date(deprecation)}; move one of them"
        findings.append(Finding("sunset-before-deprecation", "error", "Sunset", message, "RFC 9745, section 4"))
    if sunset is not None and sunset <= at and 200 <= status < 400:
        message = f"the sunset has passed, yet the reply is {status}; answer 410, or announce a date to come"
        findings.append(Finding("sunset-passed", "warning", "Sunset", message, "RFC 8594, section 3"))
    if sunset is not None and sunset <= at and status == 404:
        message = "the sunset has passed, and 404 looks like a mistake of the client; answer 410"
        findings.append(Finding("sunset-not-found", "warning", "Sunset", message, "RFC 9110, section 15.5.11"))
    if _values(headers, "Sunset") and not _values(headers, "Deprecation") and status != 410:
        message = "an end without a deprecation; send Deprecation too, unless the resource was short-lived by design"
        findings.append(Finding("sunset-without-deprecation", "warning", "Sunset", message, "RFC 9745, section 4"))
    return findings


def _about_links(announcement: Announcement, headers: Headers, status: int, base_url: str) -> list[Finding]:
    links = announcement.links
    relations = {relation for link in links for relation in link.relations}
    findings = []
    if status == 410 and not relations & {"successor-version", "latest-version"}:
        message = 'gone without a successor; link to what takes its place, with rel="successor-version"'
        findings.append(Finding("gone-without-successor", "warning", "Link", message, "RFC 5829, section 3"))
    elif _values(headers, "Deprecation") and not relations & {"deprecation", "successor-version", "latest-version"}:
        message = 'deprecated without a link; say what to do instead, with rel="deprecation" or "successor-version"'
        findings.append(Finding("deprecated-without-link", "warning", "Link", message, "RFC 9745, section 3"))
    for link in links:
        findings += _about_link(link, base_url)
    return findings


def _about_link(link: Link, base_url: str) -> list[Finding]:
    findings = []
    if "successor-version" in link.relations and urldefrag(link.target).url == urldefrag(urljoin(base_url, "")).url:
        message = "the successor is the resource itself; link to the one that takes its place"
        findings.append(Finding("successor-is-itself", "error", "Link", message, "RFC 5829, section 3"))
    if "deprecation" in link.relations and ("json" in link.type or "yaml" in link.type):
        message = f"`deprecation` leads to documentation for people, and not to {quoted(link.type)}; link to a page"
        findings.append(Finding("deprecation-not-for-people", "warning", "Link", message, "RFC 9745, section 6.2"))
    if "service-desc" in link.relations and link.type == "text/html":
        message = "`service-desc` leads to a description for programs; a page for people is `service-doc`"
        findings.append(Finding("service-desc-not-for-programs", "warning", "Link", message, "RFC 8631, section 4"))
    if base_url.lower().startswith("https:") and link.target.lower().startswith("http:"):
        message = f"{link.target} is not secured, though this reply was; link to https"
        findings.append(Finding("link-insecure", "warning", "Link", message, "RFC 9745, section 7"))
    return findings


def _about_outdated(headers: Headers) -> list[Finding]:
    findings = []
    for name in dict.fromkeys(name.lower() for name, _ in headers):
        if name == "warning":
            message = "the header is obsolete and clients ignore it; send Deprecation and Link"
            findings.append(Finding("warning-obsolete", "warning", "Warning", message, "RFC 9111, section 5.5"))
        elif OUTDATED.fullmatch(name):
            shown = "-".join(part.capitalize() for part in name.split("-"))
            message = "no client knows it; send what it says as Deprecation, Sunset or Link"
            findings.append(Finding("header-nonstandard", "warning", shown, message, "RFC 6648, section 3"))
    return findings


def _values(headers: Headers, name: str) -> list[str]:
    return [value for given, value in headers if given.lower() == name.lower()]


def _error(header: str, fault: Malformed) -> Finding:
    return Finding(fault.code, "error", header, fault.message, fault.section)
