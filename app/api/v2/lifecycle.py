"""Version 2: how versions end, and whether their clients are ready."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from app.adoption import clients
from app.adoption.readiness import readiness
from app.api.fields import ONLY_DIGITS
from app.api.services import Services
from app.api.v2.auth import Caller
from app.api.v2.clients import ClientId
from app.api.v2.media import JSON
from app.api.v2.strict import StrictBody
from app.db import retried
from app.domain import users
from app.domain.errors import DomainError, Kind
from app.domain.fields import Moment, Text
from app.versioning import ApiVersion, Reply
from app.versioning.openapi import refusals
from app.versioning.readiness import DAYS, as_json

router = APIRouter(tags=["lifecycle"])

VersionName = Annotated[Text, Path(max_length=32, examples=["v1"])]
Days = Annotated[int, Field(ge=1, le=3650), ONLY_DIGITS, Query(description="How many days `calls_a_day` is told of.")]

_CHANGE: dict[str, Any] = {
    "operation": "GET /posts",
    "place": "query",
    "kind": "renamed",
    "from": "search",
    "to": "q",
    "effort": "mechanical",
    "note": "Called `q`; finds the same.",
}


class OperationCalls(BaseModel):
    operation: str
    calls: int


class Change(BaseModel):
    """What is different for the client; the members are those of `/versions/<name>/migration.json`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHANGE]})

    operation: str
    place: str
    kind: str
    from_: str | None = Field(alias="from")
    to: str | None
    effort: str = Field(description="trivial, mechanical or semantic.")
    note: str


class ClientReadiness(BaseModel):
    client: str = Field(examples=["billing"])
    source: str = Field(description="How it is known: token, user-agent or anonymous.", examples=["token"])
    verdict: str = Field(description="safe, blocked, or gone (not seen for 90 days).", examples=["blocked"])
    activity: str = Field(
        description="active (within 7 days), quiet, stale (from 30 on) or gone (from 90 on).", examples=["active"]
    )
    last_seen: datetime = Field(
        description="To the hour, or to the day where it is long ago.", examples=["2026-03-01T12:00:00Z"]
    )
    calls_a_day: float = Field(examples=[12.5])
    consented: datetime | None = Field(description="When it was said that the date is known.")
    operations: list[OperationCalls] = Field(description="The calls of the last 90 days.")
    changes: list[Change]


class Summary(BaseModel):
    blocked: int
    safe: int
    gone: int


class Others(BaseModel):
    clients: int
    calls: int


class Readiness(BaseModel):
    version: str = Field(examples=["v1"])
    successor: str = Field(examples=["v2"])
    days: int = Field(examples=[90])
    summary: Summary
    clients: list[ClientReadiness]
    others: Others = Field(
        description="Further clients, not assessed: beside the registered ones, the 1000 that call most are."
    )
    refused: int = Field(
        description="How many more, not registered, were only ever refused: they are not counted as clients."
    )
    cannot_be_seen: list[str] = Field(description="What the usage ledger cannot know.")


class ConsentGive(StrictBody):
    sunset: Moment = Field(description="The date that was read.", examples=["2028-11-20T00:00:00Z"])


class Consent(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "client_id": "billing",
                    "version": "v1",
                    "sunset": "2028-11-20T00:00:00Z",
                    "given_at": "2026-12-01T12:00:00Z",
                }
            ]
        }
    )

    client_id: str
    version: str
    sunset: datetime
    given_at: datetime


@router.get(
    "/versions/{version}/readiness",
    response_model=Readiness,
    responses=refusals(401, 403, 404, status_409="The version has no successor to be ready for."),
)
def get_readiness(version: VersionName, caller: Caller, days: Days = DAYS) -> Reply[Readiness]:
    """Whom the end of a version would hit, and how hard, for administrators."""
    with caller.read() as (connection, user_id):
        users.require_administrator(connection, user_id)
        ending = _version(caller.core, version)
        if ending.migration is None:
            raise DomainError(Kind.CONFLICT, "nothing-to-be-ready-for", "The version has no successor")
        found = readiness(connection, ending, days)
    return Reply(Readiness.model_validate(as_json(ending.name, ending.successor, days, found)))


@router.get("/clients/{client_id}/consents/{version}", response_model=Consent, responses=refusals(401, 404))
def get_consent(client_id: ClientId, version: VersionName, caller: Caller) -> Reply[Consent]:
    """The sunset of a version that was last consented to for a client: for its owner, and administrators."""
    with caller.read() as (connection, user_id):
        clients.seen_by(connection, client_id, user_id)
        return Reply(Consent(**clients.consent_of(connection, client_id, version)._asdict()))


@router.put(
    "/clients/{client_id}/consents/{version}",
    response_model=Consent,
    responses=refusals(401, 404, 415, status_409="The version does not end at that time."),
    dependencies=[Depends(JSON)],
)
@retried
def put_consent(client_id: ClientId, version: VersionName, body: ConsentGive, caller: Caller) -> Reply[Consent]:
    """Say for a client, as its owner or an administrator, that the date on which a version ends was read."""
    with caller.write() as (connection, user_id):
        clients.seen_by(connection, client_id, user_id)
        if _version(caller.core, version).sunset != body.sunset:
            raise DomainError(Kind.CONFLICT, "another-sunset", "The version does not end at that time")
        given = clients.consent(connection, client_id, version, body.sunset)
    return Reply(Consent(**given._asdict()))


def _version(core: Services, name: str) -> ApiVersion:
    if name not in core.versions:
        raise DomainError(Kind.NOT_FOUND, "version-not-found", "No such version")
    return core.versions[name]
