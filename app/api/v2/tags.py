"""Version 2: tags."""

from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from app.api.services import Core
from app.api.v2.paging import Page, PageQuery, next_page, page_of
from app.domain import tags
from app.domain.fields import Text
from app.domain.tags import TagView
from app.versioning import Reply
from app.versioning.openapi import link, links, refusals, response_headers
from app.versioning.query_parameters import QueryOf

router = APIRouter(prefix="/tags", tags=["tags"])


class Tag(BaseModel):
    name: str
    posts: int

    @classmethod
    def of(cls, tag: TagView) -> Self:
        return cls(name=tag.name, posts=tag.posts)


class TagPage(BaseModel):
    data: list[Tag]
    page: Page


class TagQuery(PageQuery):
    prefix: Text = Field("", description="Only tags that begin with this.")


_QUERY = QueryOf(TagQuery)


@router.get(
    "",
    response_model=TagPage,
    responses={
        **response_headers(200, Link="The next and the previous page (RFC 8288).", required=False),
        **refusals(status_400="The cursor does not belong to this list."),
    },
    openapi_extra=_QUERY.documented
    | links(
        200,
        next_page=next_page("list_tags"),
        posts=link("list_posts", "Posts with the first of the tags.", tag="$response.body#/data/0/name"),
    ),
)
def list_tags(query: Annotated[TagQuery, Depends(_QUERY)], request: Request, core: Core) -> Reply[TagPage]:
    """The tags of published posts, by name, with the number of posts."""
    with core.database.read() as connection:
        data, page, headers = page_of(tags.listed(query.prefix), query, request, Tag.of).ask(connection)
    return Reply(TagPage(data=data, page=page), headers=headers)
