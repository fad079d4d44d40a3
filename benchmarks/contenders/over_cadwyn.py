"""Cadwyn over Tandem's own core: the same functions of `app.domain`, with Cadwyn in place of Tandem's two folders.

It follows https://docs.cadwyn.dev: "Version with paths and numbers", "Version changes", "Schema migrations" and
"Endpoint migrations". Business logic returns HEAD; version 2 is HEAD without what it does not show; version 1 is made
from it by converters, and where the two differ in more than form (paging, who may read), by an endpoint of the older
version and a version change with side effects. Endpoints are plain `def`, dependencies `async def`, as Tandem's. Tokens
are the core's, and so is logging in, which is `async def` there: it counts guesses as Tandem does, and as no other
contender does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import common
from anyio.to_thread import current_default_thread_limiter
from cadwyn import (
    Cadwyn,
    HeadVersion,
    ResponseInfo,
    Version,
    VersionBundle,
    VersionChange,
    VersionChangeWithSideEffects,
    VersionedAPIRouter,
    convert_response_to_previous_version_for,
    endpoint,
    schema,
)
from fastapi import Depends, FastAPI, Form, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, ConfigDict, Field

from app.db import Database
from app.domain import errors, posts, sessions, votes
from app.domain.accounts import Accounts
from app.domain.errors import DomainError, Kind
from app.domain.passwords import PasswordHasher
from app.domain.posts import PostFilter, PostView
from app.domain.throttling import Throttle
from app.domain.tokens import AccessTokens, Claims
from app.settings import Settings

# The core, put together as app/main.py does

settings = Settings()
database = Database(settings.database_url, pool_size=common.POOL_SIZE, spare=0)
REFRESH_LIFETIME = timedelta(days=common.REFRESH_TOKEN_DAYS)
accounts = Accounts(
    database,
    PasswordHasher(rounds=settings.bcrypt_rounds, workers=settings.password_hash_workers),
    Throttle(settings.login_failures_allowed, timedelta(seconds=settings.login_lock_seconds)),
)
tokens = AccessTokens(settings.secret_key.get_secret_value(), timedelta(minutes=settings.access_token_expire_minutes))


# HEAD: all that any version shows


class Author(BaseModel):
    id: int
    display_name: str
    email: str
    created_at: datetime


class Votes(BaseModel):
    up: int
    down: int
    score: int


class Post(BaseModel):
    id: int
    title: str
    content: str
    published: bool
    tags: list[str]
    author: Author
    votes: Votes
    my_vote: int | None
    created_at: datetime
    updated_at: datetime


def post_of(post: PostView, viewer: int | None) -> Post:
    """A function, since Cadwyn copies the models, and cannot copy their class methods."""
    return Post(
        id=post.id,
        title=post.title,
        content=post.content,
        published=post.published,
        tags=post.tags,
        author=Author(
            id=post.owner_id,
            display_name=post.owner_display_name,
            email=post.owner_email,
            created_at=post.owner_created_at,
        ),
        votes=Votes(up=post.votes_up, down=post.votes_down, score=post.votes_up - post.votes_down),
        my_vote=None if viewer is None else post.my_vote or 0,
        created_at=post.created_at,
        updated_at=post.updated_at,
    )


class Page(BaseModel):
    limit: int
    next_cursor: str | None
    prev_cursor: str | None


class PostPage(BaseModel):
    data: list[Post]
    page: Page


Text = Annotated[str, Field(pattern=common.TEXT)]
TagName = Annotated[str, Field(pattern=common.TAG)]
PostId = Annotated[int, Path(ge=1, le=common.MAXIMUM_ID)]


class PostWrite(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: Text = Field(min_length=1, max_length=300)
    content: Text = Field(min_length=1, max_length=50_000)
    published: bool = True
    tags: list[TagName] = Field([], max_length=10)


class VoteWrite(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    value: Literal[1, -1]


class VoteResult(BaseModel):
    value: int
    votes: Votes


class TokenPair(BaseModel):
    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


# What changed from version to version


class Owner(BaseModel):
    id: int
    email: str
    created_at: datetime


class OldPost(BaseModel):
    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    owner_id: int
    owner: Owner


class HideEmails(VersionChange):
    """Nobody sees another person's e-mail."""

    instructions_to_migrate_to_previous_version = (
        schema(Author).field("email").didnt_exist,
        schema(Author).field("created_at").didnt_exist,
    )


class FlattenPosts(VersionChange):
    """A post is an object of its own, with its author, tags and both counters, and not wrapped beside its votes."""

    instructions_to_migrate_to_previous_version = (
        schema(Post).field("Post").existed_as(type=OldPost),
        schema(Post).field("votes").had(type=int),
        *(
            schema(Post).field(name).didnt_exist
            for name in (
                "id",
                "title",
                "content",
                "published",
                "tags",
                "author",
                "my_vote",
                "created_at",
                "updated_at",
            )
        ),
    )

    @convert_response_to_previous_version_for(Post)
    def wrap_one(response: ResponseInfo) -> None:  # noqa: N805 - Cadwyn calls it so
        response.body = _wrapped(response.body)

    @convert_response_to_previous_version_for("/{api_version}/posts", ["GET"])
    def wrap_each(response: ResponseInfo) -> None:  # noqa: N805
        response.body = [_wrapped(post) for post in response.body]


def _wrapped(post: dict[str, Any]) -> dict[str, Any]:
    author = post["author"]
    kept = {name: post[name] for name in ("id", "title", "content", "published", "created_at")}
    owner = {"id": author["id"], "email": author["email"], "created_at": author["created_at"]}
    return {"Post": {**kept, "owner_id": author["id"], "owner": owner}, "votes": post["votes"]["up"]}


class PageByCursor(VersionChange):
    """Lists are read by cursor, newest first, and not by offset."""

    instructions_to_migrate_to_previous_version = (
        endpoint("/{api_version}/posts", ["GET"], func_name="list_posts_by_offset").existed,
        endpoint("/{api_version}/posts", ["GET"], func_name="list_posts").didnt_exist,
    )


class LetAnybodyRead(VersionChangeWithSideEffects):
    """Published posts are read without a token."""

    instructions_to_migrate_to_previous_version = ()


versions = VersionBundle(
    HeadVersion(HideEmails),
    Version("v2", FlattenPosts, PageByCursor, LetAnybodyRead),
    Version("v1"),
)


# Who is calling

oauth2_scheme = OAuth2PasswordBearer(tokenUrl="/v2/auth/token", auto_error=False)


async def caller(token: Annotated[str | None, Depends(oauth2_scheme)]) -> Claims:
    if token is None:
        raise errors.unauthenticated()
    return tokens.verify(token)


async def caller_if_any(request: Request, token: Annotated[str | None, Depends(oauth2_scheme)]) -> Claims | None:
    if "authorization" not in request.headers and LetAnybodyRead.is_applied:
        return None
    return await caller(token)


Caller = Annotated[Claims, Depends(caller)]
CallerIfAny = Annotated[Claims | None, Depends(caller_if_any)]


# Endpoints

router = VersionedAPIRouter(prefix="/{api_version}")


@router.get("/posts/{post_id}")
def get_post(post_id: PostId, caller: CallerIfAny) -> Post:
    with database.read() as connection:
        viewer = sessions.authenticate(connection, caller) if caller else None
        return post_of(posts.get(connection, post_id, viewer), viewer)


class ListQuery(BaseModel):
    limit: int = Field(20, ge=1, le=100)
    q: Text = ""


@router.get("/posts")
def list_posts(
    query: Annotated[ListQuery, Query()], request: Request, response: Response, caller: CallerIfAny
) -> PostPage:
    with database.read() as connection:
        viewer = sessions.authenticate(connection, caller) if caller else None
        listing = posts.listed(viewer, PostFilter(text=query.q), posts.ORDERS["-created_at"])
        found, more = listing.seek(position=None, backward=False, limit=query.limit).ask(connection)
    cursor = None
    if more:
        filters = {"q": query.q} if query.q else {}
        cursor = common.next_cursor(request.url.path, filters, found[-1].created_at.isoformat(), found[-1].id)
        link = urlencode([*request.query_params.items(), ("cursor", cursor)])
        response.headers["Link"] = f'<{request.url.path}?{link}>; rel="next"'
    page = Page(limit=query.limit, next_cursor=cursor, prev_cursor=None)
    return PostPage(data=[post_of(post, viewer) for post in found], page=page)


@router.only_exists_in_older_versions
@router.get("/posts")
def list_posts_by_offset(
    caller: Caller,
    limit: Annotated[int, Query(ge=0, le=1000)] = 10,
    skip: Annotated[int, Query(ge=0, le=common.MAXIMUM_ID)] = 0,
    search: Text = "",
) -> list[Post]:
    with database.read() as connection:
        viewer = sessions.authenticate(connection, caller)
        listing = posts.listed(viewer, PostFilter(text=search), posts.OLDEST_ID_FIRST, detailed=False)
        return [post_of(post, viewer) for post in listing.slice(offset=skip, limit=limit).ask(connection)]


@router.post("/posts", status_code=201)
def create_post(body: PostWrite, response: Response, caller: Caller) -> Post:
    with database.write() as connection:
        author = sessions.authenticate(connection, caller)
        post = posts.create(
            connection, author, title=body.title, content=body.content, published=body.published, tags=body.tags
        )
    response.headers["Location"] = f"/v2/posts/{post.id}"
    return post_of(post, author)


@router.put("/posts/{post_id}/vote")
def put_vote(post_id: PostId, body: VoteWrite, caller: Caller) -> VoteResult:
    with database.write() as connection:
        voter = sessions.authenticate(connection, caller)
        up, down = votes.put(connection, voter, post_id, body.value)
    return VoteResult(value=body.value, votes=Votes(up=up, down=down, score=up - down))


class LoginForm(BaseModel):
    grant_type: Literal["password"]
    username: Text
    password: Text = Field(max_length=1024)


@router.post("/auth/token")
async def log_in(form: Annotated[LoginForm, Form()], response: Response) -> TokenPair:
    try:
        login = await accounts.log_in(
            email=form.username, password=form.password, lifetime=REFRESH_LIFETIME, refreshable=True
        )
    except DomainError:
        raise HTTPException(400) from None
    response.headers["Cache-Control"] = "no-store"
    return TokenPair(
        access_token=tokens.issue(login.user_id, login.session_id),
        token_type="Bearer",
        expires_in=int(tokens.lifetime.total_seconds()),
        refresh_token=login.refresh_token,
    )


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    # As many threads as connections: a thread that runs never waits for the pool.
    current_default_thread_limiter().total_tokens = common.POOL_SIZE
    yield
    database.close()


app = Cadwyn(
    lifespan=lifespan,
    versions=versions,
    api_version_parameter_name="api_version",
    api_version_format="string",
    api_version_location="path",
    changelog_url=None,
)
app.generate_and_include_versioned_routers(router)


@app.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "ok"}


# Errors

_STATUS = {Kind.UNAUTHENTICATED: 401, Kind.FORBIDDEN: 403, Kind.NOT_FOUND: 404, Kind.CONFLICT: 409}


def _answer(
    request: Request, status: int, headers: dict[str, str] | None = None, errors: list[dict[str, str]] | None = None
) -> JSONResponse:
    code, title, detail = common.PROBLEMS.get(status, ("refused", "Refused", "Refused"))
    if request.url.path.startswith("/v1"):
        return JSONResponse({"detail": detail}, status, headers)
    given = common.request_id(request.headers.get("x-request-id"))
    content = common.problem(status, code, title, detail, request.url.path, given, errors)
    return JSONResponse(content, status, headers, "application/problem+json")


@app.exception_handler(DomainError)
async def refused_by_the_core(request: Request, error: DomainError) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if error.kind is Kind.UNAUTHENTICATED else None
    return _answer(request, _STATUS[error.kind], headers)


@app.exception_handler(HTTPException)
async def refused(request: Request, error: HTTPException) -> JSONResponse:
    return _answer(request, error.status_code, dict(error.headers or {}))


@app.exception_handler(RequestValidationError)
async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    errors = []
    for found in error.errors():
        place, *path = found["loc"]
        where = {"pointer": "#" + "".join(f"/{step}" for step in path)}
        if place != "body":
            where = {"parameter": str(path[0])}
        errors.append({"detail": found["msg"], **where, "code": found["type"]})
    return _answer(request, 422, errors=errors)
