"""Version 2: tokens as OAuth 2.0 has them (RFC 6749, 7009), and who is calling.

Clients are public: a `client_id` may be given; that of a registered client goes into the token, others are ignored.
Errors here are OAuth's own, not problem details, so that stock clients understand them.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from app.api import services
from app.api.idempotency import Once, OnceOnly
from app.api.services import CallerOf, Core, Services, VisitorOf, registered_client
from app.db import retried
from app.domain import sessions
from app.domain.errors import DomainError, Kind
from app.domain.sessions import Login
from app.domain.text import storable
from app.threads import in_thread
from app.versioning import Reply
from app.versioning.openapi import link, links

router = APIRouter(prefix="/auth", tags=["auth"])
_scheme = OAuth2PasswordBearer(tokenUrl="/v2/auth/token", refreshUrl="/v2/auth/token", scheme_name="OAuth2")
Caller = Annotated[services.Caller, Depends(CallerOf(_scheme))]
Visitor = Annotated[services.Visitor, Depends(VisitorOf(_scheme))]
TOKEN_IS_OPTIONAL: dict[str, Any] = {"security": [{}]}

_NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenPair(BaseModel):
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(examples=[1800])
    refresh_token: str = Field(examples=["kV3c0n5tPz"])


class OAuthError(BaseModel):
    """RFC 6749, section 5.2."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"error": "invalid_grant", "error_description": "The e-mail or the password is wrong"}]
        }
    )

    error: Literal["invalid_request", "invalid_grant", "unsupported_grant_type"]
    error_description: str


def _form(*alternatives: dict[str, Any]) -> dict[str, Any]:
    """The request body in the document: one of these forms."""
    schema = alternatives[0] if len(alternatives) == 1 else {"oneOf": list(alternatives)}
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}


def _fields(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


_STRING = {"type": "string", "minLength": 1, "pattern": r"^[^\x00]*$"}
_CLIENT_ID = {"type": "string", "description": "Of a registered client: its tokens name it. Any other is ignored."}
_PASSWORD_GRANT = _fields(
    {
        "grant_type": {"type": "string", "const": "password"},
        "username": {**_STRING, "description": "The e-mail.", "examples": ["ada@example.com"]},
        "password": {**_STRING, "examples": ["correct horse"]},
    },
    client_id=_CLIENT_ID,
)
_REFRESH_GRANT = _fields(
    {
        "grant_type": {"type": "string", "const": "refresh_token"},
        "refresh_token": {**_STRING, "examples": ["kV3c0n5tPz"]},
    },
    client_id={"type": "string", "description": "Ignored: the token keeps the client of the login."},
)
_REVOCATION = _fields(
    {"token": {**_STRING, "description": "An access token or a refresh token.", "examples": ["kV3c0n5tPz"]}},
    token_type_hint={"type": "string"},
    client_id={"type": "string"},
)
_OAUTH_REFUSAL: dict[int | str, dict[str, Any]] = {400: {"model": OAuthError, "description": "As RFC 6749 has it."}}


_REFRESH = {"grant_type": "refresh_token", "refresh_token": "$response.body#/refresh_token"}  # where it stands  # nosec B105
_REVOKE = {"token": "$response.body#/refresh_token"}  # where it stands  # nosec B105


@router.post(
    "/token",
    response_model=TokenPair,
    responses=_OAUTH_REFUSAL,
    openapi_extra=_form(_PASSWORD_GRANT, _REFRESH_GRANT)
    | links(
        200,
        refresh=link("create_token", "The next pair, when the access token has expired.", body=_REFRESH),
        log_out=link("revoke_token", "The end of the session.", body=_REVOKE),
    ),
)
async def create_token(request: Request, once: OnceOnly, core: Core) -> Response:
    """Exchange a password, or a refresh token, for an access token and the next refresh token.

    A refresh token is good for one exchange. Using it again ends the whole session: somebody has stolen it. With an
    Idempotency-Key, who lost the reply sends the same again and gets the same tokens.
    """
    form = await _read_form(request, "grant_type", "username", "password", "refresh_token", "client_id")
    match form.get("grant_type"):
        case "password":
            return await _password_grant(form, once, core, request)
        case "refresh_token":
            return await _refresh_grant(form, once, core, request)
        case None:
            return _refuse("invalid_request", "Send a form with grant_type, each parameter once")
    return _refuse("unsupported_grant_type", "grant_type is password or refresh_token")


async def _password_grant(form: dict[str, str], once: Once, core: Services, request: Request) -> Response:
    email, password = form.get("username"), form.get("password")
    if not email or not password or len(password) > 1024:
        return _refuse("invalid_request", "Send username and password; a password has at most 1024 characters")
    client_id = await registered_client(request, form.get("client_id"))
    try:
        verified = await core.accounts.verify(email=email, password=password)  # whatever the key: see create_user

        @retried
        def begin() -> Response:
            with core.database.write() as connection:
                if (replayed := once.claim(connection, None)) is not None:
                    return replayed
                login = core.accounts.begin(
                    connection, verified, core.refresh_lifetime, refreshable=True, client_id=client_id
                )
                return once.keep(connection, None, _token_pair(login, core))

        reply = await in_thread(begin)
    except DomainError as error:
        if error.kind is not Kind.FORBIDDEN:
            raise
        return _refuse("invalid_grant", "The e-mail or the password is wrong")
    request.state.client_id = client_id  # not before: whoever fails to log in is not known to be that client
    return reply


async def _refresh_grant(form: dict[str, str], once: Once, core: Services, request: Request) -> Response:
    token = form.get("refresh_token")
    if not token:
        return _refuse("invalid_request", "Send refresh_token")

    @retried
    def exchange() -> Response:
        refusal = _refuse("invalid_grant", "The refresh token is unknown, expired or used")
        with core.database.read() as connection:
            session_id = sessions.session_of_refresh_token(connection, token)
        if session_id is None:
            return refusal  # known before a write waits for its turn: anybody can send nonsense
        with core.database.write() as connection:
            if (replayed := once.claim(connection, None)) is not None:
                return replayed
            refreshed = sessions.refresh(connection, session_id, token, core.refresh_lifetime)
            if refreshed is None:
                return refusal
            request.state.client_id = refreshed.client_id
            return once.keep(connection, None, _token_pair(refreshed, core))

    return await in_thread(exchange)


@router.post(
    "/revoke", status_code=200, response_class=Response, responses=_OAUTH_REFUSAL, openapi_extra=_form(_REVOCATION)
)
async def revoke_token(request: Request, once: OnceOnly, core: Core) -> Response:
    """End the session a token belongs to (RFC 7009): logging out. A token that is not good any more is no error."""
    token = (await _read_form(request, "token")).get("token")
    if not token:
        return _refuse("invalid_request", "Send a form with token, each parameter once")

    @retried
    def end() -> Response:
        with core.database.read() as connection:
            if (replayed := once.stored(connection, None)) is not None:
                return replayed
            try:
                claims = core.tokens.verify(token)
                sessions.authenticate(connection, claims)
                session_id: str | None = claims.session_id
            except DomainError:  # no access token, or one that ended before
                session_id = sessions.session_of_refresh_token(connection, token)
        if session_id is None:
            return Response(status_code=200)
        with core.database.write() as connection:
            if (replayed := once.claim(connection, None)) is not None:
                return replayed
            sessions.end(connection, session_id)
            return once.keep(connection, None, Response(status_code=200))

    return await in_thread(end)


async def _read_form(request: Request, *names: str) -> dict[str, str]:
    """These parameters of a form; empty for anything else than a form that has each of them at most once.

    As RFC 6749, section 3.2, has it: an empty value counts as absent, and parameters of other names are ignored.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return {}
    async with request.form() as form:
        values = {name: form.getlist(name) for name in names}
    if any(len(given) > 1 for given in values.values()):
        return {}
    return {
        name: value
        for name, given in values.items()
        for value in given
        if isinstance(value, str) and storable(value) and value
    }


def _token_pair(login: Login, core: Services) -> Reply[TokenPair]:
    assert login.refresh_token is not None  # both grants ask for one
    pair = TokenPair(
        access_token=core.tokens.issue(login.user_id, login.session_id, login.client_id),
        token_type="Bearer",  # a token type and no secret  # nosec B106
        expires_in=int(core.tokens.lifetime.total_seconds()),
        refresh_token=login.refresh_token,
    )
    return Reply(pair, headers=_NOT_STORED)


def _refuse(error: Literal["invalid_request", "invalid_grant", "unsupported_grant_type"], description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, 400, _NOT_STORED)
