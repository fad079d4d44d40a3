"""Version 2: people. Another person's e-mail is never shown."""

from datetime import datetime
from typing import Annotated, Self, cast

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.conditional import (
    FOR_ANYBODY,
    FOR_THE_CALLER,
    IF_MATCH,
    IF_NONE_MATCH,
    READ,
    TAGGED,
    IfMatch,
    tag_of_user,
)
from app.api.fields import IdInUrl
from app.api.idempotency import OnceOnly
from app.api.services import Core
from app.api.v2.auth import Caller
from app.api.v2.media import JSON, MERGE_PATCH
from app.api.v2.strict import StrictBody
from app.db import retried
from app.domain import users
from app.domain.fields import DisplayName, Email, Password, Text
from app.domain.users import ProfileChanges, UserView
from app.threads import in_thread
from app.versioning import Reply
from app.versioning.openapi import link, links, merge_patch_body, refusals, response_headers

router = APIRouter(prefix="/users", tags=["users"])

_SEEN_BY_OTHERS = link("get_user", "What others see of it.", user_id="$response.body#/id")
_LOG_IN = {
    "grant_type": "password",
    "username": "$request.body#/email",
    "password": "$request.body#/password",  # where it stands  # nosec B105
}

Bio = Annotated[Text, Field(max_length=2000)]


class AccountCreate(StrictBody):
    email: Email = Field(examples=["ada@example.com"])
    password: Password = Field(examples=["correct horse"])
    display_name: DisplayName | None = Field(None, examples=["Ada"])


class AccountPatch(StrictBody):
    """A merge patch (RFC 7396): null takes back what was chosen."""

    display_name: DisplayName | None = Field(None, examples=["Ada"])
    bio: Bio | None = Field(None, examples=["I write notes."])


class PasswordChange(StrictBody):
    current_password: Annotated[Text, Field(max_length=1024)] = Field(examples=["correct horse"])
    new_password: Password = Field(examples=["battery staple"])


class User(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": 1, "display_name": "Ada", "bio": "I write notes.", "created_at": "2026-01-31T12:00:00Z"}
            ]
        }
    )

    id: int
    display_name: str
    bio: str | None
    created_at: datetime

    @classmethod
    def of(cls, user: UserView) -> Self:
        return cls(id=user.id, display_name=user.display_name, bio=user.bio, created_at=user.created_at)


class Account(User):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 1,
                    "display_name": "Ada",
                    "bio": "I write notes.",
                    "created_at": "2026-01-31T12:00:00Z",
                    "email": "ada@example.com",
                    "updated_at": "2026-01-31T12:00:00Z",
                }
            ]
        }
    )

    email: str
    updated_at: datetime

    @classmethod
    def of(cls, user: UserView) -> Self:
        return cls(
            id=user.id,
            display_name=user.display_name,
            bio=user.bio,
            created_at=user.created_at,
            email=user.email,
            updated_at=user.updated_at,
        )


@router.post(
    "",
    status_code=201,
    response_model=Account,
    responses={
        **response_headers(201, Location="The path of the new user."),
        **refusals(415, status_409="An account with this e-mail exists, or the Idempotency-Key is in use."),
    },
    dependencies=[Depends(JSON)],
    openapi_extra=links(
        201, seen_by_others=_SEEN_BY_OTHERS, log_in=link("create_token", "Tokens for the new user.", body=_LOG_IN)
    ),
)
async def create_user(body: AccountCreate, once: OnceOnly, core: Core) -> Reply[Account]:
    """Sign up. The e-mail is unique without regard to case."""
    # Also where the key is known: who guesses keys must not try passwords against them for less than a login costs.
    password_hash = await core.accounts.hasher.hash(body.password)

    @retried
    def create() -> Reply[Account]:
        with core.database.write() as connection:
            if (replayed := once.claim(connection, None)) is not None:
                return replayed
            user = users.create(
                connection, email=body.email, password_hash=password_hash, display_name=body.display_name
            )
            return once.keep(connection, None, Reply(Account.of(user), 201, {"Location": f"/v2/users/{user.id}"}))

    return await in_thread(create)


@router.get(
    "/me",
    response_model=Account,
    responses={**READ, **refusals(401)},
    openapi_extra=IF_NONE_MATCH | links(200, seen_by_others=_SEEN_BY_OTHERS),
)
def get_account(caller: Caller) -> Reply[Account]:
    """Read one's own account."""
    with caller.read() as (connection, user_id):
        user = users.get(connection, user_id)
    return Reply(Account.of(user), headers=tag_of_user(user) | FOR_THE_CALLER)


@router.patch(
    "/me",
    response_model=Account,
    responses={**TAGGED, **refusals(401, 412, 415)},
    dependencies=[Depends(MERGE_PATCH)],
    openapi_extra=IF_MATCH | merge_patch_body("AccountPatch") | links(200, seen_by_others=_SEEN_BY_OTHERS),
)
@retried
def update_account(body: AccountPatch, caller: Caller, expected: IfMatch) -> Reply[Account]:
    """Change the given fields of one's own profile."""
    with caller.write() as (connection, user_id):
        changes = cast(ProfileChanges, body.model_dump(exclude_unset=True))
        user = users.change_profile(connection, user_id, changes, expected)
    return Reply(Account.of(user), headers=tag_of_user(user))


@router.delete("/me", status_code=204, responses=refusals(401, 412), openapi_extra=IF_MATCH)
@retried
def delete_account(caller: Caller, expected: IfMatch) -> Response:
    """Delete one's own account, with its posts and votes."""
    with caller.write() as (connection, user_id):
        users.remove(connection, user_id, expected)
    return Response(status_code=204)


@router.put(
    "/me/password",
    status_code=204,
    responses=refusals(401, 415, status_403="The current password is wrong."),
    dependencies=[Depends(JSON)],
)
async def change_password(body: PasswordChange, caller: Caller) -> Response:
    """Set a new password. Every other token of the account ends; the caller's stays good."""
    await caller.core.accounts.change_password(caller.claims, current=body.current_password, new=body.new_password)
    return Response(status_code=204)


@router.get(
    "/{user_id}",
    response_model=User,
    responses={**READ, **refusals(404)},
    openapi_extra=IF_NONE_MATCH
    | links(200, posts=link("list_posts", "The user's posts.", author_id="$response.body#/id")),
)
def get_user(user_id: IdInUrl, core: Core) -> Reply[User]:
    """Look a user up by id."""
    with core.database.read() as connection:
        user = users.get(connection, user_id)
    return Reply(User.of(user), headers=tag_of_user(user) | FOR_ANYBODY)
