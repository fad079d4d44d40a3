"""The way of FastAPI's tutorials, as most services are written.

It follows "SQL (Relational) Databases" (a session by dependency, plain `def` endpoints, one entity a table),
"OAuth2 with Password (and hashing), Bearer with JWT tokens" (PyJWT, passlib) and "Handling Errors" of
https://fastapi.tiangolo.com/tutorial/, and the widespread courses whose votes are an outer join with COUNT and whose
replies are `{"Post": …, "votes": n}`. Counters would be quicker, but that join is how such services are written, and so
what this contender is for. Relationships are loaded as SQLAlchemy recommends (a join for one, select-in for many), so
that a list does not ask once an item. Where a plain join would count a million votes for a page of twenty, the page is
cut out first.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import common
from anyio.to_thread import current_default_thread_limiter
from entities import LoginSession, Post, PostTag, RefreshToken, Tag, User, Vote
from fastapi import Depends, FastAPI, Form, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Select, create_engine, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, contains_eager, selectinload

# Database

engine = create_engine(
    common.DATABASE_URL.replace("postgresql://", "postgresql+psycopg2://"),  # quicker here than psycopg 3
    pool_size=common.POOL_SIZE,
    max_overflow=0,  # or connections beyond the pool's are opened and closed all the time
    connect_args={"options": "-c timezone=utc"},
)


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


# Who is calling

oauth2_scheme = OAuth2PasswordBearer(tokenUrl="/v2/auth/token", auto_error=False)


def _user_of(session: Session, token: str | None) -> int:
    claims = common.verify(token) if token else None
    login = session.get(LoginSession, claims.session_id) if claims else None
    if claims is None or login is None or login.user_id != claims.user_id:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    if login.only_token not in (None, claims.token_id):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return login.user_id


def get_current_user(session: SessionDep, token: Annotated[str | None, Depends(oauth2_scheme)]) -> int:
    return _user_of(session, token)


def get_viewer(
    request: Request, session: SessionDep, token: Annotated[str | None, Depends(oauth2_scheme)]
) -> int | None:
    return _user_of(session, token) if "authorization" in request.headers else None


CurrentUser = Annotated[int, Depends(get_current_user)]
Viewer = Annotated[int | None, Depends(get_viewer)]


# Models of the wire

Text = Annotated[str, Field(pattern=common.TEXT)]
TagName = Annotated[str, Field(pattern=common.TAG)]
PostId = Annotated[int, Path(ge=1, le=common.MAXIMUM_ID)]


class PostCreate(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: Text = Field(min_length=1, max_length=300)
    content: Text = Field(min_length=1, max_length=50_000)
    published: bool = True
    tags: list[TagName] = Field([], max_length=10)


class VoteWrite(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    value: Literal[1, -1]


class Author(BaseModel):
    id: int
    display_name: str


class Votes(BaseModel):
    up: int
    down: int
    score: int


class PostOut(BaseModel):
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


class Page(BaseModel):
    limit: int
    next_cursor: str | None
    prev_cursor: str | None


class PostPage(BaseModel):
    data: list[PostOut]
    page: Page


class VoteResult(BaseModel):
    value: int
    votes: Votes


class TokenPair(BaseModel):
    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class UserV1(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    created_at: datetime


class PostV1(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    owner_id: int
    owner: UserV1


class PostWithVotesV1(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    Post: PostV1
    votes: int


# Endpoints


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    # More than requests come at once: an endpoint with a connection must not wait for threads that wait for one.
    current_default_thread_limiter().total_tokens = 100
    yield
    engine.dispose()


app = FastAPI(title="Textbook", lifespan=lifespan)

_UP = func.count(Vote.post_id).filter(Vote.value == 1)
_DOWN = func.count(Vote.post_id).filter(Vote.value == -1)


def _visible(viewer: int | None) -> ColumnElement[bool]:
    return or_(Post.published, Post.owner_id == viewer)


def _with_votes(wanted: Select[Any]) -> Select[Any]:
    """The posts whose ids are wanted, with their votes counted."""
    ids = wanted.subquery()
    return (
        select(Post, _UP, _DOWN)
        .join(ids, ids.c.id == Post.id)
        .join(Post.owner)
        .join(Vote, Vote.post_id == Post.id, isouter=True)
        .group_by(Post.id, User.id)
        .options(contains_eager(Post.owner), selectinload(Post.tags))
    )


def _post_out(post: Post, up: int, down: int, viewer: int | None, my_vote: int | None) -> PostOut:
    name = post.owner.display_name
    return PostOut(
        id=post.id,
        title=post.title,
        content=post.content,
        published=post.published,
        tags=[tag.name for tag in post.tags],
        author=Author(id=post.owner_id, display_name=name if name is not None else f"user-{post.owner_id}"),
        votes=Votes(up=up, down=down, score=up - down),
        my_vote=None if viewer is None else my_vote or 0,
        created_at=post.created_at,
        updated_at=post.updated_at,
    )


def _my_votes(session: Session, viewer: int | None, post_ids: list[int]) -> dict[int, int]:
    if viewer is None:
        return {}
    mine = select(Vote.post_id, Vote.value).where(Vote.user_id == viewer, Vote.post_id.in_(post_ids))
    return dict(session.execute(mine).tuples().all())


@app.get("/v2/posts/{post_id}")
def get_post(post_id: PostId, session: SessionDep, viewer: Viewer) -> PostOut:
    wanted = select(Post.id).where(Post.id == post_id, _visible(viewer))
    found = session.execute(_with_votes(wanted)).first()
    if found is None:
        raise HTTPException(404)
    post, up, down = found
    return _post_out(post, up, down, viewer, _my_votes(session, viewer, [post_id]).get(post_id))


class ListQuery(BaseModel):
    limit: int = Field(20, ge=1, le=100)
    q: Text = ""


@app.get("/v2/posts")
def list_posts(
    query: Annotated[ListQuery, Query()], request: Request, response: Response, session: SessionDep, viewer: Viewer
) -> PostPage:
    wanted = select(Post.id).where(_visible(viewer))
    if query.q:
        wanted = wanted.where(func.strpos(Post.title_folded, query.q.casefold()) > 0)
    newest_first = Post.created_at.desc(), Post.id.desc()
    statement = _with_votes(wanted.order_by(*newest_first).limit(query.limit + 1)).order_by(*newest_first)
    rows = session.execute(statement).all()
    shown, cursor = rows[: query.limit], None
    if len(rows) > query.limit:
        last: Post = shown[-1][0]
        filters = {"q": query.q} if query.q else {}
        cursor = common.next_cursor(request.url.path, filters, last.created_at.isoformat(), last.id)
        link = urlencode([*request.query_params.items(), ("cursor", cursor)])
        response.headers["Link"] = f'<{request.url.path}?{link}>; rel="next"'
    mine = _my_votes(session, viewer, [post.id for post, *_ in shown])
    return PostPage(
        data=[_post_out(post, up, down, viewer, mine.get(post.id)) for post, up, down in shown],
        page=Page(limit=query.limit, next_cursor=cursor, prev_cursor=None),
    )


@app.post("/v2/posts", status_code=201)
def create_post(body: PostCreate, response: Response, session: SessionDep, author: CurrentUser) -> PostOut:
    moment = datetime.now(UTC)
    post = Post(
        title=body.title,
        title_folded=body.title.casefold(),
        content=body.content,
        published=body.published,
        owner_id=author,
        created_at=moment,
        updated_at=moment,
    )
    session.add(post)
    session.flush()
    names = list(dict.fromkeys(body.tags))
    known = {tag.name: tag for tag in session.scalars(select(Tag).where(Tag.name.in_(names)))}
    if missing := sorted(set(names) - known.keys()):
        session.execute(insert(Tag).on_conflict_do_nothing(), [{"name": name} for name in missing])
        known = {tag.name: tag for tag in session.scalars(select(Tag).where(Tag.name.in_(names)))}
    session.add_all(
        PostTag(post_id=post.id, tag_id=known[name].id, position=position) for position, name in enumerate(names)
    )
    session.commit()
    session.refresh(post)
    response.headers["Location"] = f"/v2/posts/{post.id}"
    return _post_out(post, 0, 0, author, None)


@app.put("/v2/posts/{post_id}/vote")
def put_vote(post_id: PostId, body: VoteWrite, session: SessionDep, voter: CurrentUser) -> VoteResult:
    post = session.scalar(select(Post).where(Post.id == post_id, _visible(voter)).with_for_update(key_share=True))
    if post is None:
        raise HTTPException(404)
    vote = session.get(Vote, (voter, post_id))
    if vote is None:
        session.add(Vote(user_id=voter, post_id=post_id, value=body.value, created_at=datetime.now(UTC)))
    if vote is None or vote.value != body.value:
        before = vote.value if vote else None
        if vote is not None:
            vote.value, vote.created_at = body.value, datetime.now(UTC)
        post.votes_up += (body.value == 1) - (before == 1)
        post.votes_down += (body.value == -1) - (before == -1)
        post.revision += 1
    votes = Votes(up=post.votes_up, down=post.votes_down, score=post.votes_up - post.votes_down)
    session.commit()
    return VoteResult(value=body.value, votes=votes)


class LoginForm(BaseModel):
    grant_type: Literal["password"]
    username: Text
    password: Text = Field(max_length=1024)


@app.post("/v2/auth/token")
def log_in(form: Annotated[LoginForm, Form()], response: Response, session: SessionDep) -> TokenPair:
    user = session.scalar(select(User).where(User.email_key == form.username.casefold()))
    user_id, kept = (user.id, user.password_hash) if user else (None, None)
    session.rollback()  # hashing takes long, and needs no connection
    if not common.password_fits(form.password, kept) or user_id is None:
        raise HTTPException(400)
    moment = datetime.now(UTC)
    locked = session.get(User, user_id, with_for_update=True, populate_existing=True)
    if locked is None or locked.password_hash != kept:
        raise HTTPException(400)
    session.execute(delete(LoginSession).where(LoginSession.user_id == user_id, LoginSession.expires_at < moment))
    refresh_token, refresh_hash = common.new_refresh_token()
    until = moment + timedelta(days=common.REFRESH_TOKEN_DAYS)
    session_id = secrets.token_hex(16)
    session.add(LoginSession(id=session_id, user_id=user_id, created_at=moment, expires_at=until))
    session.flush()
    session.add(RefreshToken(token_hash=refresh_hash, session_id=session_id, created_at=moment, expires_at=until))
    session.commit()
    response.headers["Cache-Control"] = "no-store"
    return TokenPair(
        access_token=common.issue(user_id, session_id),
        token_type="Bearer",
        expires_in=common.ACCESS_TOKEN_SECONDS,
        refresh_token=refresh_token,
    )


@app.get("/v1/posts/{post_id}")
def get_post_v1(post_id: PostId, session: SessionDep, viewer: CurrentUser) -> PostWithVotesV1:
    statement = (
        select(Post, func.count(Vote.post_id).label("votes"))
        .join(Vote, (Vote.post_id == Post.id) & (Vote.value == 1), isouter=True)
        .where(Post.id == post_id, _visible(viewer))
        .join(Post.owner)
        .group_by(Post.id, User.id)
        .options(contains_eager(Post.owner))
    )
    found = session.execute(statement).first()
    if found is None:
        raise HTTPException(404)
    return PostWithVotesV1.model_validate(found)


@app.get("/v1/posts")
def list_posts_v1(
    session: SessionDep,
    viewer: CurrentUser,
    limit: Annotated[int, Query(ge=0, le=1000)] = 10,
    skip: Annotated[int, Query(ge=0, le=common.MAXIMUM_ID)] = 0,
    search: Text = "",
) -> list[PostWithVotesV1]:
    statement = (
        select(Post, func.count(Vote.post_id).label("votes"))
        .join(Vote, (Vote.post_id == Post.id) & (Vote.value == 1), isouter=True)
        .where(_visible(viewer))
        .join(Post.owner)
        .group_by(Post.id, User.id)
        .order_by(Post.id)
        .limit(limit)
        .offset(skip)
        .options(contains_eager(Post.owner))
    )
    if search:
        statement = statement.where(func.strpos(Post.title_folded, search.casefold()) > 0)
    return [PostWithVotesV1.model_validate(row) for row in session.execute(statement)]


@app.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "ok"}


# Errors


def _answer(
    request: Request, status: int, headers: dict[str, str] | None = None, errors: list[dict[str, str]] | None = None
) -> JSONResponse:
    code, title, detail = common.PROBLEMS.get(status, ("refused", "Refused", "Refused"))
    if request.url.path.startswith("/v1"):
        return JSONResponse({"detail": detail}, status, headers)
    given = common.request_id(request.headers.get("x-request-id"))
    content = common.problem(status, code, title, detail, request.url.path, given, errors)
    return JSONResponse(content, status, headers, "application/problem+json")


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
