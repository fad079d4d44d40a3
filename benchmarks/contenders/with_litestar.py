"""Litestar with SQLAlchemy, asynchronous, over asyncpg.

It follows https://docs.litestar.dev: the tutorial "Improving the TODO app with SQLAlchemy" (the init plugin of
Advanced Alchemy, a session by dependency, entities), "Dependency Injection", "Requests" and "Responses" with msgspec
structs, the library that Litestar itself validates and serializes with, and "Exceptions". Relationships are loaded as
SQLAlchemy recommends, votes are read from the counters.
"""

import asyncio
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import common
from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyInitPlugin,
)
from entities import LoginSession, Post, PostTag, RefreshToken, Tag, User, Vote
from litestar import Litestar, Request, Response, get, post, put
from litestar.di import Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException, NotAuthorizedException, NotFoundException, ValidationException
from litestar.params import Body, Parameter
from msgspec import Meta, Struct
from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

Text = Annotated[str, Meta(pattern=common.TEXT)]
TagName = Annotated[str, Meta(pattern=common.TAG)]
PostId = Annotated[int, Parameter(ge=1, le=common.MAXIMUM_ID)]


class PostWrite(Struct, forbid_unknown_fields=True):
    title: Annotated[str, Meta(pattern=common.TEXT, min_length=1, max_length=300)]
    content: Annotated[str, Meta(pattern=common.TEXT, min_length=1, max_length=50_000)]
    published: bool = True
    tags: Annotated[list[TagName], Meta(max_length=10)] = []


class VoteWrite(Struct, forbid_unknown_fields=True):
    value: Literal[1, -1]


class LoginForm(Struct):
    grant_type: Literal["password"]
    username: Text
    password: Annotated[str, Meta(pattern=common.TEXT, max_length=1024)]


class Author(Struct):
    id: int
    display_name: str


class Votes(Struct):
    up: int
    down: int
    score: int


class PostOut(Struct):
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


class Page(Struct):
    limit: int
    next_cursor: str | None
    prev_cursor: str | None


class PostPage(Struct):
    data: list[PostOut]
    page: Page


class VoteResult(Struct):
    value: int
    votes: Votes


class TokenPair(Struct):
    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class UserV1(Struct):
    id: int
    email: str
    created_at: datetime


class PostV1(Struct):
    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    owner_id: int
    owner: UserV1


class PostWithVotesV1(Struct):
    Post: PostV1
    votes: int


# Who is calling


async def provide_user(request: Request[Any, Any, Any], db_session: AsyncSession) -> int:
    """The id of the user whose token was sent. 401 without a valid one, and when its session has ended."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    claims = common.verify(token) if scheme.lower() == "bearer" else None
    login = await db_session.get(LoginSession, claims.session_id) if claims else None
    if claims is None or login is None or login.user_id != claims.user_id:
        raise NotAuthorizedException(headers={"WWW-Authenticate": "Bearer"})
    if login.only_token not in (None, claims.token_id):
        raise NotAuthorizedException(headers={"WWW-Authenticate": "Bearer"})
    return login.user_id


async def provide_viewer(request: Request[Any, Any, Any], db_session: AsyncSession) -> int | None:
    return await provide_user(request, db_session) if "authorization" in request.headers else None


# Handlers


def _visible(viewer: int | None) -> ColumnElement[bool]:
    return or_(Post.published, Post.owner_id == viewer)


def _post_out(found: Post, viewer: int | None, my_vote: int | None) -> PostOut:
    name = found.owner.display_name
    return PostOut(
        id=found.id,
        title=found.title,
        content=found.content,
        published=found.published,
        tags=[tag.name for tag in found.tags],
        author=Author(id=found.owner_id, display_name=name if name is not None else f"user-{found.owner_id}"),
        votes=Votes(up=found.votes_up, down=found.votes_down, score=found.votes_up - found.votes_down),
        my_vote=None if viewer is None else my_vote or 0,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _post_v1(found: Post) -> PostWithVotesV1:
    owner = UserV1(id=found.owner.id, email=found.owner.email, created_at=found.owner.created_at)
    kept = PostV1(
        id=found.id,
        title=found.title,
        content=found.content,
        published=found.published,
        created_at=found.created_at,
        owner_id=found.owner_id,
        owner=owner,
    )
    return PostWithVotesV1(Post=kept, votes=found.votes_up)


async def _my_votes(session: AsyncSession, viewer: int | None, post_ids: list[int]) -> dict[int, int]:
    if viewer is None:
        return {}
    mine = select(Vote.post_id, Vote.value).where(Vote.user_id == viewer, Vote.post_id.in_(post_ids))
    return dict((await session.execute(mine)).tuples().all())


@get("/v2/posts/{post_id:int}", dependencies={"viewer": Provide(provide_viewer)})
async def get_post(post_id: PostId, db_session: AsyncSession, viewer: int | None) -> PostOut:
    statement = (
        select(Post)
        .where(Post.id == post_id, _visible(viewer))
        .options(joinedload(Post.owner), selectinload(Post.tags))
    )
    found = await db_session.scalar(statement)
    if found is None:
        raise NotFoundException
    return _post_out(found, viewer, (await _my_votes(db_session, viewer, [post_id])).get(post_id))


@get("/v2/posts", dependencies={"viewer": Provide(provide_viewer)})
async def list_posts(
    request: Request[Any, Any, Any],
    db_session: AsyncSession,
    viewer: int | None,
    limit: Annotated[int, Parameter(ge=1, le=100)] = 20,
    q: Annotated[str, Parameter(pattern=common.TEXT)] = "",
) -> Response[PostPage]:
    statement = (
        select(Post)
        .where(_visible(viewer))
        .order_by(Post.created_at.desc(), Post.id.desc())
        .limit(limit + 1)
        .options(joinedload(Post.owner), selectinload(Post.tags))
    )
    if q:
        statement = statement.where(func.strpos(Post.title_folded, q.casefold()) > 0)
    rows = list(await db_session.scalars(statement))
    shown, cursor, headers = rows[:limit], None, {}
    if len(rows) > limit:
        path, filters = request.url.path, {"q": q} if q else {}
        cursor = common.next_cursor(path, filters, shown[-1].created_at.isoformat(), shown[-1].id)
        headers["Link"] = f'<{path}?{urlencode([*request.query_params.items(), ("cursor", cursor)])}>; rel="next"'
    mine = await _my_votes(db_session, viewer, [found.id for found in shown])
    page = PostPage(
        data=[_post_out(found, viewer, mine.get(found.id)) for found in shown],
        page=Page(limit=limit, next_cursor=cursor, prev_cursor=None),
    )
    return Response(page, headers=headers)


@post("/v2/posts", dependencies={"author": Provide(provide_user)})
async def create_post(data: PostWrite, db_session: AsyncSession, author: int) -> Response[PostOut]:
    moment = datetime.now(UTC)
    new = Post(
        title=data.title,
        title_folded=data.title.casefold(),
        content=data.content,
        published=data.published,
        owner_id=author,
        created_at=moment,
        updated_at=moment,
    )
    db_session.add(new)
    await db_session.flush()
    names = list(dict.fromkeys(data.tags))
    wanted = select(Tag).where(Tag.name.in_(names))
    known = {tag.name: tag for tag in await db_session.scalars(wanted)}
    if missing := sorted(set(names) - known.keys()):
        await db_session.execute(insert(Tag).on_conflict_do_nothing(), [{"name": name} for name in missing])
        known = {tag.name: tag for tag in await db_session.scalars(wanted)}
    db_session.add_all(
        PostTag(post_id=new.id, tag_id=known[name].id, position=position) for position, name in enumerate(names)
    )
    await db_session.flush()
    await db_session.refresh(new, ["owner", "tags"])
    await db_session.commit()
    return Response(_post_out(new, author, None), headers={"Location": f"/v2/posts/{new.id}"})


@put("/v2/posts/{post_id:int}/vote", dependencies={"voter": Provide(provide_user)})
async def put_vote(post_id: PostId, data: VoteWrite, db_session: AsyncSession, voter: int) -> VoteResult:
    locked = select(Post).where(Post.id == post_id, _visible(voter)).with_for_update(key_share=True)
    found = await db_session.scalar(locked)
    if found is None:
        raise NotFoundException
    vote = await db_session.get(Vote, (voter, post_id))
    before = vote.value if vote else None
    if before != data.value:
        if vote is None:
            db_session.add(Vote(user_id=voter, post_id=post_id, value=data.value, created_at=datetime.now(UTC)))
        else:
            vote.value, vote.created_at = data.value, datetime.now(UTC)
        found.votes_up += (data.value == 1) - (before == 1)
        found.votes_down += (data.value == -1) - (before == -1)
        found.revision += 1
    votes = Votes(up=found.votes_up, down=found.votes_down, score=found.votes_up - found.votes_down)
    await db_session.commit()
    return VoteResult(value=data.value, votes=votes)


@post("/v2/auth/token", status_code=200)
async def log_in(
    data: Annotated[LoginForm, Body(media_type=RequestEncodingType.URL_ENCODED)], db_session: AsyncSession
) -> Response[TokenPair]:
    user = await db_session.scalar(select(User).where(User.email_key == data.username.casefold()))
    user_id, kept = (user.id, user.password_hash) if user else (None, None)
    await db_session.rollback()  # hashing takes long, and needs no connection
    if not await asyncio.to_thread(common.password_fits, data.password, kept) or user_id is None:
        raise HTTPException(status_code=400)
    moment = datetime.now(UTC)
    locked = await db_session.get(User, user_id, with_for_update=True, populate_existing=True)
    if locked is None or locked.password_hash != kept:
        raise HTTPException(status_code=400)
    await db_session.execute(
        delete(LoginSession).where(LoginSession.user_id == user_id, LoginSession.expires_at < moment)
    )
    refresh_token, refresh_hash = common.new_refresh_token()
    session_id, until = secrets.token_hex(16), moment + timedelta(days=common.REFRESH_TOKEN_DAYS)
    db_session.add(LoginSession(id=session_id, user_id=user_id, created_at=moment, expires_at=until))
    await db_session.flush()
    db_session.add(RefreshToken(token_hash=refresh_hash, session_id=session_id, created_at=moment, expires_at=until))
    await db_session.commit()
    pair = TokenPair(
        access_token=common.issue(user_id, session_id),
        token_type="Bearer",
        expires_in=common.ACCESS_TOKEN_SECONDS,
        refresh_token=refresh_token,
    )
    return Response(pair, headers={"Cache-Control": "no-store"})


@get("/v1/posts/{post_id:int}", dependencies={"viewer": Provide(provide_user)})
async def get_post_v1(post_id: PostId, db_session: AsyncSession, viewer: int) -> PostWithVotesV1:
    statement = select(Post).where(Post.id == post_id, _visible(viewer)).options(joinedload(Post.owner))
    found = await db_session.scalar(statement)
    if found is None:
        raise NotFoundException
    return _post_v1(found)


@get("/v1/posts", dependencies={"viewer": Provide(provide_user)})
async def list_posts_v1(
    db_session: AsyncSession,
    viewer: int,
    limit: Annotated[int, Parameter(ge=0, le=1000)] = 10,
    skip: Annotated[int, Parameter(ge=0, le=common.MAXIMUM_ID)] = 0,
    search: Annotated[str, Parameter(pattern=common.TEXT)] = "",
) -> list[PostWithVotesV1]:
    statement = (
        select(Post).where(_visible(viewer)).order_by(Post.id).limit(limit).offset(skip).options(joinedload(Post.owner))
    )
    if search:
        statement = statement.where(func.strpos(Post.title_folded, search.casefold()) > 0)
    return [_post_v1(found) for found in await db_session.scalars(statement)]


@get("/livez", sync_to_thread=False)
def livez() -> dict[str, str]:
    return {"status": "ok"}


# Errors


def refused(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    status, errors = error.status_code, None
    if isinstance(error, ValidationException):
        status, errors = 422, _parts(error)
    code, title, detail = common.PROBLEMS.get(status, ("refused", "Refused", "Refused"))
    if request.url.path.startswith("/v1"):
        return Response({"detail": detail}, status_code=status, headers=error.headers)
    given = common.request_id(request.headers.get("x-request-id"))
    content = common.problem(status, code, title, detail, request.url.path, given, errors)
    return Response(content, status_code=status, headers=error.headers, media_type="application/problem+json")


def _parts(error: ValidationException) -> list[dict[str, str]]:
    """What is wrong where: Litestar gives a source and a key, or names the place in the words of msgspec."""
    found = []
    for part in error.extra or []:
        message, key = part["message"], part.get("key", "")
        if part.get("source") in ("query", "path"):
            found.append({"detail": message, "parameter": key, "code": "invalid"})
            continue
        if unknown := re.search(r"unknown field `(.*)`", message):
            key = unknown[1]
        pointer = "".join(f"/{step}" for step in re.findall(r"[^.\[\]]+", key))
        found.append({"detail": message, "pointer": f"#{pointer}", "code": "invalid"})
    return found


app = Litestar(
    [get_post, list_posts, create_post, put_vote, log_in, get_post_v1, list_posts_v1, livez],
    exception_handlers={HTTPException: refused},
    plugins=[
        SQLAlchemyInitPlugin(
            SQLAlchemyAsyncConfig(
                connection_string=common.DATABASE_URL.replace("postgresql://", "postgresql+asyncpg://"),
                engine_config=EngineConfig(
                    pool_size=common.POOL_SIZE,
                    max_overflow=0,  # or connections beyond the pool's are opened and closed all the time
                    connect_args={"server_settings": {"timezone": "UTC"}},
                ),
                session_config=AsyncSessionConfig(expire_on_commit=False),
                enable_touch_updated_timestamp_listener=False,  # a vote is no change of the post
            )
        )
    ],
    openapi_config=None,
)
