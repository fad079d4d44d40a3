"""Version 2: votes, up and down."""

from typing import Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.fields import IdInUrl
from app.api.v2.auth import Caller
from app.api.v2.media import JSON
from app.api.v2.posts import Votes
from app.api.v2.strict import StrictBody
from app.db import retried
from app.domain import votes
from app.domain.fields import VoteValue
from app.versioning import Reply
from app.versioning.openapi import link, links, refusals

router = APIRouter(prefix="/posts/{post_id}/vote", tags=["votes"])


class Vote(StrictBody):
    value: VoteValue = Field(examples=[1])


class VoteResult(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"value": 1, "votes": {"up": 3, "down": 1, "score": 2}}]})

    value: Literal[1, -1]
    votes: Votes


@router.put(
    "",
    response_model=VoteResult,
    responses=refusals(401, 404, 415),
    dependencies=[Depends(JSON)],
    openapi_extra=links(200, post=link("get_post", "What was voted on.", post_id="$request.path.post_id")),
)
@retried
def put_vote(post_id: IdInUrl, body: Vote, caller: Caller) -> Reply[VoteResult]:
    """Vote a post up (1) or down (-1). Sent again it changes nothing."""
    with caller.write() as (connection, voter):
        up, down = votes.put(connection, voter, post_id, body.value)
    return Reply(VoteResult(value=body.value, votes=Votes(up=up, down=down, score=up - down)))


@router.delete("", status_code=204, responses=refusals(401, 404))
@retried
def delete_vote(post_id: IdInUrl, caller: Caller) -> Response:
    """Take one's vote back. Sent again it changes nothing."""
    with caller.write() as (connection, user_id):
        votes.remove(connection, user_id, post_id)
    return Response(status_code=204)
