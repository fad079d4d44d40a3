"""The administrators' page that plans brownouts, cancels them, and holds the kill switch."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import structlog
from fastapi import APIRouter, Form, Path
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from app.adoption import plan
from app.adoption.plan import State, Window
from app.db import retried
from app.domain.clock import now
from app.domain.fields import Text
from app.portal.parts import Here, Portal
from app.portal.signing_in import HEADERS, Acting, Administrator, SignedIn
from app.threads import in_thread
from app.versioning import ApiVersion, Brownout, LifecycleError

router = APIRouter(prefix="/portal/brownouts", include_in_schema=False)

_PAST_SHOWN = 20
_DONE = {
    "planned": "The brownout is planned.",
    "cancelled": "The brownout is cancelled.",
    "stopped": "All brownouts are stopped.",
    "resumed": "Brownouts go on as planned.",
}

log = structlog.get_logger("tandem.portal")


class Shown(NamedTuple):
    """A planned brownout, and how it stands."""

    window: Window
    state: State


_Short = Annotated[Text, Field(max_length=64)]


class BrownoutForm(BaseModel):
    """What was typed, as it was typed."""

    version: _Short = ""
    starts: _Short = ""
    ends: _Short = ""
    client: _Short = ""
    percentage: _Short = "100"
    reason: Annotated[Text, Field(max_length=500)] = ""


class Planned(NamedTuple):
    """What the form says, once it makes sense."""

    version: ApiVersion
    window: Brownout
    reason: str


@router.get("")
async def brownouts_page(who: SignedIn, here: Here, done: str = "") -> Response:
    """What is planned, and the forms."""
    return await _page(here, who, BrownoutForm(), {}, _DONE.get(done))


@router.post("")
async def plan_brownout(form: Annotated[BrownoutForm, Form()], who: Acting, here: Here) -> Response:
    """Plan one; what does not make sense comes back as it was typed, with what is wrong about it."""
    planned = _read(form, here.versions)
    if isinstance(planned, dict):
        return await _page(here, who, form, planned, None, status=422)
    try:
        return await _change(here, who, "planned", lambda connection: plan.plan(connection, *planned))
    except LifecycleError as error:
        return await _page(here, who, form, {"starts": f"{error}."}, None, status=422)


@router.post("/{window_id}/cancel")
async def cancel_brownout(window_id: Annotated[int, Path(ge=1, lt=2**63)], who: Acting, here: Here) -> Response:
    """End one, or keep it from starting. One that has been cancelled before is no error."""
    return await _change(
        here, who, "cancelled", lambda connection: plan.cancel(connection, window_id), window=window_id
    )


@router.post("/stop")
async def stop_brownouts(who: Acting, here: Here) -> Response:
    """The kill switch."""
    return await _change(here, who, "stopped", plan.stop)


@router.post("/resume")
async def resume_brownouts(who: Acting, here: Here) -> Response:
    """The kill switch, back."""
    return await _change(here, who, "resumed", plan.resume)


async def _change(
    here: Portal, who: Administrator, done: str, change: Callable[[Any], object], **facts: int
) -> Response:
    @retried
    def write() -> object:
        with here.services.database.write() as connection:
            return change(connection)

    await in_thread(write)
    await here.watch.refresh()  # whoever looks now finds it so; the other workers follow in a moment
    log.info("brownouts changed", change=done, user=who.claims.user_id, **facts)
    return RedirectResponse(f"/portal/brownouts?done={done}", 303, HEADERS)


async def _page(
    here: Portal, who: Administrator, form: BrownoutForm, faults: dict[str, str], done: str | None, status: int = 200
) -> Response:
    at = now()

    def look_up() -> tuple[list[Window], bool]:
        with here.services.database.read() as connection:
            return plan.windows(connection), plan.stopped(connection)

    windows, stopped = await in_thread(look_up)
    return here.pages.page(
        "brownouts.html",
        status,
        HEADERS,
        who=who,
        now=at,
        versions=[version for version in here.versions if version.sunset is not None],
        windows=shown_windows(windows, at),
        stopped=stopped,
        form=form,
        faults=faults,
        done=done,
    )


def shown_windows(windows: Sequence[Window], at: datetime) -> list[Shown]:
    """Those to come, the next one first, and the last of those that are over or cancelled."""
    shown = [Shown(window, window.state(at)) for window in windows]
    living = [one for one in shown if one.state in ("open", "planned")]
    past = [one for one in shown if one.state not in ("open", "planned")]
    return living + past[-_PAST_SHOWN:][::-1]


def _read(form: BrownoutForm, versions: Sequence[ApiVersion]) -> Planned | dict[str, str]:
    """The window that is meant, or what is wrong, by the field that says it."""
    version = next((version for version in versions if version.name == form.version), None)
    starts, ends = _moment(form.starts), _moment(form.ends)
    client = form.client.strip() or None
    percentage = int(form.percentage) if form.percentage.isascii() and form.percentage.isdecimal() else 0
    faults = {}
    if version is None:
        faults["version"] = "Choose a version."
    if starts is None:
        faults["starts"] = "Say when it starts, such as 2027-03-01T09:00 (UTC)."
    if ends is None:
        faults["ends"] = "Say when it ends, such as 2027-03-01T10:00 (UTC)."
    if not 1 <= percentage <= 100:
        faults["percentage"] = "A percentage is a whole number from 1 to 100."
    elif client is not None and percentage != 100:
        faults["client"] = "A brownout is for one client or for a percentage: leave the client out, or say 100."
    if faults or version is None or starts is None or ends is None:
        return faults
    return Planned(version, Brownout(starts, ends, client, percentage), form.reason.strip())


def _moment(text: str) -> datetime | None:
    """A browser sends local times without a zone; the form says that they are UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # year 1 in one zone is no year in another
        return None
