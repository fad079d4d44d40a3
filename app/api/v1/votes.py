"""Version 1: votes, which are up-votes."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, Field

from app.api.fields import Id
from app.api.v1.auth import Caller
from app.db import retried
from app.domain import votes
from app.domain.fields import only_integers
from app.versioning import Reply
from app.versioning.openapi import refusals

router = APIRouter(tags=["votes"])


class Vote(BaseModel):
    post_id: Id = Field(examples=[1])
    dir: Annotated[Literal[0, 1], BeforeValidator(only_integers)] = Field(
        description="1 adds the vote, 0 takes it back."
    )


class VoteResult(BaseModel):
    message: Literal["successfully added vote", "successfully deleted vote"]


@router.post(
    "/vote",
    status_code=201,
    response_model=VoteResult,
    responses=refusals(
        401, status_404="No such post, or no vote to take back.", status_409="You have already voted for this post."
    ),
)
@retried
def vote(body: Vote, request: Request, caller: Caller) -> Reply[VoteResult]:
    """Vote for a post, or take the vote back."""
    request.state.successor = f"/v2/posts/{body.post_id}/vote"
    with caller.write() as (connection, voter):
        if body.dir == 1:
            votes.add_up_vote(connection, voter, body.post_id)
            result = VoteResult(message="successfully added vote")
        else:
            votes.remove_up_vote(connection, voter, body.post_id)
            result = VoteResult(message="successfully deleted vote")
    return Reply(result, 201)
