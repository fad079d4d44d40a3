"""Version 2: posts."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, with_config
from typing_extensions import TypedDict

from app.api.conditional import (
    FOR_NOBODY,
    FOR_THE_CALLER,
    IF_MATCH,
    IF_NONE_MATCH,
    READ,
    TAG,
    TAGGED,
    IfMatch,
    tag_of_post,
)
from app.api.fields import FlagInUrl, IdInUrl
from app.api.idempotency import OnceOnly
from app.api.v2.auth import TOKEN_IS_OPTIONAL, Caller, Visitor
from app.api.v2.media import JSON, MERGE_PATCH
from app.api.v2.paging import Page, PageQuery, next_page, page_of
from app.api.v2.strict import StrictBody
from app.db import retried
from app.domain import errors, posts
from app.domain.fields import Moment, TagName, Text
from app.domain.posts import PostChanges, PostFilter, PostView
from app.versioning import Reply
from app.versioning.openapi import link, links, merge_patch_body, refusals, response_headers
from app.versioning.query_parameters import QueryOf

router = APIRouter(prefix="/posts", tags=["posts"])

Title = Annotated[Text, Field(min_length=1, max_length=300)]
Content = Annotated[Text, Field(min_length=1, max_length=50_000)]
Tags = Annotated[list[TagName], Field(max_length=10)]
Sort = Literal["-created_at", "created_at", "-score", "score", "title", "-title"]

_EXAMPLE_POST: dict[str, Any] = {
    "id": 1,
    "title": "On Engines",
    "content": "Notes.",
    "published": True,
    "tags": ["engines"],
    "author": {"id": 1, "display_name": "Ada"},
    "votes": {"up": 3, "down": 1, "score": 2},
    "my_vote": 0,
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}


class PostWrite(StrictBody):
    title: Title = Field(examples=["On Engines"])
    content: Content = Field(examples=["Notes."])
    published: bool = Field(True)
    tags: Tags = Field([], examples=[["engines"]])


class PostPatch(StrictBody):
    """A merge patch (RFC 7396): `tags: null` takes all tags away; the other members cannot be removed."""

    # A factory and not a default: absent means unchanged, and the document must not promise otherwise.
    title: Title = Field(default_factory=str, examples=["On Engines"])
    content: Content = Field(default_factory=str, examples=["Notes."])
    published: bool = Field(default_factory=bool)
    tags: Tags | None = Field(default_factory=list, examples=[["engines"]])

    def changes(self) -> PostChanges:
        given: dict[str, Any] = self.model_dump(exclude_unset=True)
        if "tags" in given and given["tags"] is None:
            given["tags"] = []
        return cast(PostChanges, given)


# What is read most is dictionaries: a list of models takes longer to make than to find and to send together.
class Author(TypedDict):
    id: int
    display_name: str


class Votes(TypedDict):
    up: int
    down: int
    score: int


@with_config(json_schema_extra={"examples": [_EXAMPLE_POST]})
class Post(TypedDict):
    id: int
    title: str
    content: str
    published: bool
    tags: list[str]
    author: Author
    votes: Votes
    my_vote: Literal[1, 0, -1] | None
    created_at: datetime
    updated_at: datetime


def post_of(post: PostView, viewer: int | None) -> Post:
    return {
        "id": post.id,
        "title": post.title,
        "content": post.content,
        "published": post.published,
        "tags": post.tags,
        "author": {"id": post.owner_id, "display_name": post.owner_display_name},
        "votes": {"up": post.votes_up, "down": post.votes_down, "score": post.votes_up - post.votes_down},
        "my_vote": None if viewer is None else _MY_VOTE[post.my_vote],
        "created_at": post.created_at,
        "updated_at": post.updated_at,
    }


_MY_VOTE: dict[int | None, Literal[1, 0, -1]] = {None: 0, 1: 1, -1: -1}


class PostPage(TypedDict):
    data: list[Post]
    page: Page


class PostQuery(PageQuery):
    sort: Sort = Field(
        "-created_at",
        description="The order; `-` is descending. Titles go by their first 300 characters, and equal ones by id.",
    )
    q: Text = Field("", description="Part of the title, in any case.")
    author_id: IdInUrl | None = Field(None, description="Posts of this user.")
    tag: Tags = Field([], description="Posts with this tag; repeated, with all of them.")
    published: FlagInUrl | None = Field(None, description="`false` lists one's own drafts, and needs a token.")
    created_after: Moment | None = Field(None, description="Posts later than this (RFC 3339).")
    created_before: Moment | None = Field(None, description="Posts earlier than this (RFC 3339).")

    def filter(self) -> PostFilter:
        return PostFilter(
            text=self.q,
            author_id=self.author_id,
            tags=self.tag,
            published=self.published,
            created_after=self.created_after,
            created_before=self.created_before,
        )


_QUERY = QueryOf(PostQuery)


@router.get(
    "",
    response_model=PostPage,
    responses={
        **response_headers(200, Link="The next and the previous page (RFC 8288).", required=False),
        **refusals(401, status_400="The cursor does not belong to this list."),
    },
    openapi_extra=TOKEN_IS_OPTIONAL | _QUERY.documented | links(200, next_page=next_page("list_posts")),
)
async def list_posts(
    visitor: Visitor, query: Annotated[PostQuery, Depends(_QUERY)], request: Request
) -> Reply[PostPage]:
    """Published posts and one's own drafts, filtered, sorted, a page at a time."""
    viewer = visitor.user_id
    if query.published is False and viewer is None:
        raise errors.unauthenticated()
    listing = posts.listed(viewer, query.filter(), posts.ORDERS[query.sort])
    page = page_of(listing, query, request, lambda post: post_of(post, viewer))
    return await visitor.ask(
        page.then(lambda found: Reply(PostPage(data=found.data, page=found.page), headers=found.headers))
    )


@router.post(
    "",
    status_code=201,
    response_model=Post,
    responses={**response_headers(201, Location="The path of the new post.", ETag=TAG), **refusals(401, 415)},
    dependencies=[Depends(JSON)],
)
@retried
def create_post(body: PostWrite, caller: Caller, once: OnceOnly) -> Reply[Post]:
    """Write a post."""
    with caller.write() as (connection, author):
        if (replayed := once.claim(connection, author)) is not None:
            return replayed
        post = posts.create(
            connection, author, title=body.title, content=body.content, published=body.published, tags=body.tags
        )
        headers = {"Location": f"/v2/posts/{post.id}", **_tag(post, author)}
        return once.keep(connection, author, Reply(post_of(post, author), 201, headers))


@router.get(
    "/{post_id}",
    response_model=Post,
    responses={**READ, **refusals(401, 404)},
    openapi_extra=TOKEN_IS_OPTIONAL
    | IF_NONE_MATCH
    | links(200, author=link("get_user", "Who wrote it.", user_id="$response.body#/author/id")),
)
async def get_post(post_id: IdInUrl, visitor: Visitor) -> Reply[Post]:
    """Read a post."""
    viewer = visitor.user_id
    post = await visitor.ask(posts.by_id(post_id, viewer))
    whose = FOR_NOBODY if viewer is None else FOR_THE_CALLER
    return Reply(post_of(post, viewer), headers=_tag(post, viewer) | whose)


@router.put(
    "/{post_id}",
    response_model=Post,
    responses={**TAGGED, **refusals(401, 403, 404, 412, 415)},
    dependencies=[Depends(JSON)],
    openapi_extra=IF_MATCH,
)
def replace_post(post_id: IdInUrl, body: PostWrite, caller: Caller, expected: IfMatch) -> Reply[Post]:
    """Replace one's own post: what is left out takes its default."""
    changes = PostChanges(title=body.title, content=body.content, published=body.published, tags=body.tags)
    return _change(post_id, changes, caller, expected)


@router.patch(
    "/{post_id}",
    response_model=Post,
    responses={**TAGGED, **refusals(401, 403, 404, 412, 415)},
    dependencies=[Depends(MERGE_PATCH)],
    openapi_extra=IF_MATCH | merge_patch_body("PostPatch"),
)
def update_post(post_id: IdInUrl, body: PostPatch, caller: Caller, expected: IfMatch) -> Reply[Post]:
    """Change the given members of one's own post."""
    return _change(post_id, body.changes(), caller, expected)


@router.delete("/{post_id}", status_code=204, responses=refusals(401, 403, 404, 412), openapi_extra=IF_MATCH)
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
    return Reply(post_of(post, editor), headers=_tag(post, editor))


def _tag(post: PostView, viewer: int | None) -> dict[str, str]:
    return tag_of_post(post, None if viewer is None else _MY_VOTE[post.my_vote])
