"""Administrators sign in with a cookie. It holds an access token, so that whatever ends its session ends it, too.

Every POST is refused unless it comes from a page of ours (Fetch Metadata, or Origin where a browser sends none), and,
once somebody is signed in, carries a token that only a page made for this very session holds.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from app.db import retried
from app.domain import sessions, users
from app.domain.errors import DomainError, Kind
from app.domain.fields import Text
from app.domain.tokens import Claims
from app.portal.parts import Here, Portal
from app.threads import in_thread

router = APIRouter(prefix="/portal", include_in_schema=False)

COOKIE = "tandem_portal"
_PATH = "/portal"
_SIGN_IN, _ADOPTION = "/portal/sign-in", "/portal/adoption"
# With `no-referrer`, browsers send `Origin: null` with our own forms. What only administrators see is not kept.
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}

log = structlog.get_logger("tandem.portal")


class Refused(Exception):
    """The request is not acted upon; `response` is what it gets."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


async def answer_refused(_: Request, error: Exception) -> Response:
    """The exception handler of `Refused`."""
    assert isinstance(error, Refused)
    return error.response


@dataclass(frozen=True)
class Administrator:
    """Who is signed in. `form_token` goes into each form of theirs."""

    claims: Claims
    email: str
    form_token: str


async def signed_in(request: Request, here: Here) -> Administrator:
    """The administrator whose cookie is sent; Refused, with the way to the sign-in page, without one."""
    cookie = request.cookies.get(COOKIE, "")

    def look_up() -> Administrator | None:
        try:
            claims = here.services.tokens.verify(cookie)
            with here.services.database.read() as connection:
                user_id = sessions.authenticate(connection, claims)
                if not users.is_administrator(connection, user_id):
                    return None
                return Administrator(claims, users.get(connection, user_id).email, _form_token(cookie))
        except DomainError:
            return None

    found = await in_thread(look_up)
    if found is None:
        raise Refused(RedirectResponse(_SIGN_IN, 303, HEADERS))
    request.state.user_id = found.claims.user_id
    return found


async def from_our_page(request: Request, here: Here) -> None:
    """Refused for a form that another site's page sent."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    ours = origin.partition("://")[2] == request.headers.get("host") if site is None else site == "same-origin"
    if not ours:
        raise Refused(_not_genuine(here))


async def acting(
    request: Request,
    here: Here,
    _: Annotated[None, Depends(from_our_page)],
    who: Annotated[Administrator, Depends(signed_in)],
) -> Administrator:
    """As `signed_in`, for forms that change something; Refused for one that was not made for this session."""
    async with request.form() as form:
        given = form.get("form_token")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="replace"), who.form_token.encode()):
        raise Refused(_not_genuine(here))
    return who


SignedIn = Annotated[Administrator, Depends(signed_in)]
Acting = Annotated[Administrator, Depends(acting)]


def _form_token(cookie: str) -> str:
    """What nobody can make who does not know the cookie."""
    return hashlib.sha256(f"form token of {cookie}".encode()).hexdigest()


def _not_genuine(here: Portal) -> Response:
    return here.pages.page("refused.html", 403, HEADERS)


class Credentials(BaseModel):
    """What the form's own limits let through."""

    email: Text = ""
    password: Annotated[Text, Field(max_length=1024)] = ""


@router.get("/sign-in")
async def sign_in_page(here: Here) -> Response:
    """The form."""
    return here.pages.page("sign_in.html", headers=HEADERS, email="", refused="")


@router.post("/sign-in", dependencies=[Depends(from_our_page)])
async def sign_in(form: Annotated[Credentials, Form()], here: Here) -> Response:
    """Begin a session; the same refusal for a wrong password as for somebody who is no administrator."""
    lifetime = here.services.tokens.lifetime
    try:
        login = await here.services.accounts.log_in(
            email=form.email, password=form.password, lifetime=lifetime, administrators_only=True
        )
    except DomainError as error:
        if error.kind is Kind.THROTTLED:
            headers = {**HEADERS, "Retry-After": str(error.retry_after)}
            return here.pages.page("sign_in.html", 429, headers, email=form.email, refused=error.message)
        if error.kind is not Kind.FORBIDDEN:
            raise
        refused = "These are not the e-mail and the password of an administrator"
        return here.pages.page("sign_in.html", 403, HEADERS, email=form.email, refused=refused)
    response = RedirectResponse(_ADOPTION, 303, HEADERS)
    response.set_cookie(
        COOKIE,
        here.services.tokens.issue(login.user_id, login.session_id),
        max_age=int(lifetime.total_seconds()),
        path=_PATH,
        secure=here.production,
        httponly=True,
        samesite="strict",
    )
    log.info("administrator signed in", user=login.user_id)
    return response


@router.post("/sign-out")
async def sign_out(who: Acting, here: Here) -> Response:
    """End the session, and with it the cookie."""

    @retried
    def end() -> None:
        with here.services.database.write() as connection:
            sessions.end(connection, who.claims.session_id)

    await in_thread(end)
    response = RedirectResponse(_SIGN_IN, 303, HEADERS)
    response.delete_cookie(COOKIE, path=_PATH, secure=here.production, httponly=True, samesite="strict")
    return response
