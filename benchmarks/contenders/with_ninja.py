"""Django Ninja.

It follows https://django-ninja.dev: "Path parameters", "Query parameters", "Request Body", "Form data", "Response
Schema", "Authentication" (HttpBearer), "Handling errors", and "Response renderers", whose example is orjson. Django is
set up as its own documentation says (django_settings.py), and served by gunicorn with threads, since the endpoints are
plain `def`.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import common
import orjson
from django.http import HttpRequest, HttpResponse
from django.urls import path
from ninja import Form, NinjaAPI, Path, Query, Schema
from ninja.errors import AuthenticationError, ValidationError
from ninja.renderers import BaseRenderer
from ninja.security import HttpBearer
from pydantic import ConfigDict, Field
from tables import work
from tables.models import Post


class ORJSONRenderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:  # noqa: ARG002
        return orjson.dumps(data, option=orjson.OPT_UTC_Z)


api = NinjaAPI(renderer=ORJSONRenderer(), openapi_url=None)


NOBODY = "nobody"


class Token(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> int | None:  # noqa: ARG002
        return work.caller(token)


class TokenIfAny(Token):
    """As Token, but without credentials the caller is nobody, which Ninja wants to be true nevertheless."""

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if "Authorization" in request.headers else NOBODY


Text = Annotated[str, Field(pattern=common.TEXT)]
TagName = Annotated[str, Field(pattern=common.TAG)]
PostId = Annotated[int, Field(ge=1, le=common.MAXIMUM_ID)]


class PostWrite(Schema):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: Text = Field(min_length=1, max_length=300)
    content: Text = Field(min_length=1, max_length=50_000)
    published: bool = True
    tags: list[TagName] = Field([], max_length=10)


class VoteWrite(Schema):
    model_config = ConfigDict(extra="forbid", strict=True)

    value: Literal[1, -1]


class LoginForm(Schema):
    grant_type: Literal["password"]
    username: Text
    password: Text = Field(max_length=1024)


class ListQuery(Schema):
    limit: int = Field(20, ge=1, le=100)
    q: Text = ""


class ListQueryV1(Schema):
    limit: int = Field(10, ge=0, le=1000)
    skip: int = Field(0, ge=0, le=common.MAXIMUM_ID)
    search: Text = ""


class Author(Schema):
    id: int
    display_name: str


class Votes(Schema):
    up: int
    down: int
    score: int


class PostOut(Schema):
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


class Page(Schema):
    limit: int
    next_cursor: str | None
    prev_cursor: str | None


class PostPage(Schema):
    data: list[PostOut]
    page: Page


class VoteResult(Schema):
    value: int
    votes: Votes


class TokenPair(Schema):
    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class UserV1(Schema):
    id: int
    email: str
    created_at: datetime


class PostV1(Schema):
    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    owner_id: int
    owner: UserV1


class PostWithVotesV1(Schema):
    Post: PostV1
    votes: int


def _post_out(post: Post, viewer: int | None, my_vote: int | None) -> dict[str, Any]:
    return {
        "id": post.id,
        "title": post.title,
        "content": post.content,
        "published": post.published,
        "tags": work.tags_of(post),
        "author": {"id": post.owner_id, "display_name": post.owner.shown_name},
        "votes": {"up": post.votes_up, "down": post.votes_down, "score": post.votes_up - post.votes_down},
        "my_vote": None if viewer is None else my_vote or 0,
        "created_at": post.created_at,
        "updated_at": post.updated_at,
    }


@api.get("/v2/posts/{post_id}", response=PostOut, auth=TokenIfAny())
def get_post(request: HttpRequest, post_id: Path[PostId]) -> dict[str, Any]:
    viewer = None if request.auth == NOBODY else request.auth
    post = work.by_id(viewer, post_id)
    return _post_out(post, viewer, work.my_votes(viewer, [post]).get(post.id))


@api.get("/v2/posts", response=PostPage, auth=TokenIfAny())
def list_posts(request: HttpRequest, response: HttpResponse, query: Query[ListQuery]) -> dict[str, Any]:
    viewer, limit, q = None if request.auth == NOBODY else request.auth, query.limit, query.q
    found = work.newest(viewer, q, limit + 1)
    shown, cursor = found[:limit], None
    if len(found) > limit:
        last, filters = shown[-1], {"q": q} if q else {}
        cursor = common.next_cursor(request.path, filters, last.created_at.isoformat(), last.id)
        link = urlencode({**request.GET.dict(), "cursor": cursor})
        response.headers["Link"] = f'<{request.path}?{link}>; rel="next"'
    mine = work.my_votes(viewer, shown)
    page = {"limit": limit, "next_cursor": cursor, "prev_cursor": None}
    return {"data": [_post_out(post, viewer, mine.get(post.id)) for post in shown], "page": page}


@api.post("/v2/posts", response={201: PostOut}, auth=Token())
def create_post(request: HttpRequest, response: HttpResponse, body: PostWrite) -> tuple[int, dict[str, Any]]:
    author = request.auth
    post = work.create(author, body.title, body.content, body.published, body.tags)
    response.headers["Location"] = f"/v2/posts/{post.id}"
    return 201, _post_out(post, author, None)


@api.put("/v2/posts/{post_id}/vote", response=VoteResult, auth=Token())
def put_vote(request: HttpRequest, post_id: Path[PostId], body: VoteWrite) -> dict[str, Any]:
    up, down = work.vote(request.auth, post_id, body.value)
    return {"value": body.value, "votes": {"up": up, "down": down, "score": up - down}}


@api.post("/v2/auth/token", response=TokenPair)
def log_in(request: HttpRequest, response: HttpResponse, form: Form[LoginForm]) -> dict[str, Any]:  # noqa: ARG001
    response.headers["Cache-Control"] = "no-store"
    return work.log_in(form.username, form.password)


def _post_v1(post: Post) -> dict[str, Any]:
    owner = {"id": post.owner_id, "email": post.owner.email, "created_at": post.owner.created_at}
    kept = {
        "id": post.id,
        "title": post.title,
        "content": post.content,
        "published": post.published,
        "created_at": post.created_at,
        "owner_id": post.owner_id,
        "owner": owner,
    }
    return {"Post": kept, "votes": post.votes_up}


@api.get("/v1/posts/{post_id}", response=PostWithVotesV1, auth=Token())
def get_post_v1(request: HttpRequest, post_id: Path[PostId]) -> dict[str, Any]:
    return _post_v1(work.by_id(request.auth, post_id, with_tags=False))


@api.get("/v1/posts", response=list[PostWithVotesV1], auth=Token())
def list_posts_v1(request: HttpRequest, query: Query[ListQueryV1]) -> list[dict[str, Any]]:
    return [_post_v1(post) for post in work.oldest_id(request.auth, query.search, query.skip, query.limit)]


@api.get("/livez")
def livez(request: HttpRequest) -> dict[str, str]:  # noqa: ARG001
    return {"status": "ok"}


# Errors


def _answer(request: HttpRequest, status: int, errors: list[dict[str, str]] | None = None) -> HttpResponse:
    code, title, detail = common.PROBLEMS.get(status, ("refused", "Refused", "Refused"))
    content, media_type = {"detail": detail}, "application/json"
    if request.path.startswith("/v2"):
        given = common.request_id(request.headers.get("X-Request-ID"))
        content = common.problem(status, code, title, detail, request.path, given, errors)
        media_type = "application/problem+json"
    response = HttpResponse(orjson.dumps(content), media_type, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(AuthenticationError)
def unauthenticated(request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    return _answer(request, 401)


@api.exception_handler(work.NotThere)
def not_there(request: HttpRequest, _error: work.NotThere) -> HttpResponse:
    return _answer(request, 404)


@api.exception_handler(work.WrongPassword)
def wrong_password(request: HttpRequest, _error: work.WrongPassword) -> HttpResponse:
    return _answer(request, 400)


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = []
    for found in error.errors:
        place, _name, *inner = found["loc"]  # Ninja puts the parameter's name before the way to the member
        where = {"pointer": "#" + "".join(f"/{step}" for step in inner)}
        if place != "body":
            where = {"parameter": str(found["loc"][-1])}
        errors.append({"detail": found["msg"], **where, "code": found["type"]})
    return _answer(request, 422, errors)


urlpatterns = [path("", api.urls)]
