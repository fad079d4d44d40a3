"""Version 1: posts."""

from datetime import datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field, StrictBool, with_config
from typing_extensions import TypedDict

from app.api.conditional import IfMatch, tag_of_post
from app.api.fields import IdInUrl
from app.api.v1.auth import Caller
from app.api.v1.paging import PageQuery
from app.api.v1.users import User
from app.db import retried
from app.domain import posts
from app.domain.fields import Text
from app.domain.posts import PostChanges, PostFilter, PostView
from app.versioning import Reply
from app.versioning.openapi import refusals
from app.versioning.query_parameters import QueryOf

router = APIRouter(prefix="/posts", tags=["posts"])

_EXAMPLE_POST: dict[str, Any] = {
    "id": 1,
    "title": "On Engines",
    "content": "Notes.",
    "published": True,
    "created_at": "2026-01-31T12:00:00Z",
    "owner_id": 1,
    "owner": {"id": 1, "email": "ada@example.com", "created_at": "2026-01-31T12:00:00Z"},
}


class PostWrite(BaseModel):
    title: Text = Field(examples=["On Engines"])
    content: Text = Field(examples=["Notes."])
    published: StrictBool = Field(True)


class PostPatch(BaseModel):
    # A factory and not a default: absent means unchanged, and the document must not promise otherwise.
    title: Text = Field(default_factory=str, examples=["On Engines"])
    content: Text = Field(default_factory=str, examples=["Notes."])
    published: StrictBool = Field(default_factory=bool)


# What is read most is dictionaries: a list of models takes longer to make than to find and to send together.
@with_config(json_schema_extra={"examples": [_EXAMPLE_POST]})
class Post(TypedDict):
    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    owner_id: int
    owner: User


@with_config(json_schema_extra={"examples": [{"Post": _EXAMPLE_POST, "votes": 3}]})
class PostWithVotes(TypedDict):
    Post: Post
    votes: int


def post_of(post: PostView) -> Post:
    return {
        "id": post.id,
        "title": post.title,
        "content": post.content,
        "published": post.published,
        "created_at": post.created_at,
        "owner_id": post.owner_id,
        "owner": {"id": post.owner_id, "email": post.owner_email, "created_at": post.owner_created_at},
    }


def with_votes(post: PostView) -> PostWithVotes:
    return {"Post": post_of(post), "votes": post.votes_up}


class PostQuery(PageQuery):
    search: Text = Field("", description="Part of the title, in any case.")


_QUERY = QueryOf(PostQuery)


@router.get("", response_model=list[PostWithVotes], responses=refusals(401), openapi_extra=_QUERY.documented)
async def list_posts(caller: Caller, query: Annotated[PostQuery, Depends(_QUERY)]) -> Reply[list[PostWithVotes]]:
    """Published posts and one's own drafts, oldest id first."""
    listing = posts.listed(caller.user_id, PostFilter(text=query.search), posts.OLDEST_ID_FIRST, detailed=False)
    page = listing.slice(offset=query.skip, limit=query.limit)
    return await caller.ask(page.then(lambda found: Reply([with_votes(post) for post in found])))


@router.post("", status_code=201, response_model=Post, responses=refusals(401))
@retried
def create_post(body: PostWrite, caller: Caller) -> Reply[Post]:
    """Write a post."""
    with caller.write() as (connection, author):
        post = posts.create(connection, author, title=body.title, content=body.content, published=body.published)
    return Reply(post_of(post), 201)


@router.get("/{post_id}", response_model=PostWithVotes, responses=refusals(401, 404))
async def get_post(post_id: IdInUrl, caller: Caller) -> Reply[PostWithVotes]:
    """Read a post and its up-votes."""
    post = await caller.ask(posts.by_id(post_id, caller.user_id, detailed=False))
    return Reply(with_votes(post), headers=tag_of_post(post))


@router.put("/{post_id}", response_model=Post, responses=refusals(401, 403, 404))
def replace_post(post_id: IdInUrl, body: PostWrite, caller: Caller, expected: IfMatch) -> Reply[Post]:
    """Replace title, content and published of one's own post."""
    changes = PostChanges(title=body.title, content=body.content, published=body.published)
    return _change(post_id, changes, caller, expected)


@router.patch("/{post_id}", response_model=Post, responses=refusals(401, 403, 404))
def update_post(post_id: IdInUrl, body: PostPatch, caller: Caller, expected: IfMatch) -> Reply[Post]:
    """Change the given fields of one's own post."""
    return _change(post_id, cast(PostChanges, body.model_dump(exclude_unset=True)), caller, expected)


@router.delete("/{post_id}", status_code=204, responses=refusals(401, 403, 404))
@retried
def delete_post(post_id: IdInUrl, caller: Caller, expected: IfMatch) -> Response:
    """Delete one's own post."""
    with caller.write() as (connection, user_id):
        posts.remove(connection, user_id, post_id, expected)
    return Response(status_code=204)


@retried
def _change(post_id: int, changes: PostChanges, caller: Caller, expected: IfMatch) -> Reply[Post]:
    with caller.write() as (connection, editor):
        post = posts.change(connection, editor, post_id, changes, expected)
    return Reply(post_of(post))
