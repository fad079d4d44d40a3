"""Version 1: people."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field, with_config
from typing_extensions import TypedDict

from app.api.conditional import tag_of_user
from app.api.fields import IdInUrl
from app.api.services import Core
from app.domain import users
from app.domain.fields import Email, Text
from app.domain.users import UserView
from app.versioning import Reply
from app.versioning.openapi import refusals

router = APIRouter(prefix="/users", tags=["users"])


class UserCreate(BaseModel):
    email: Email = Field(examples=["ada@example.com"])
    password: Text = Field(min_length=1, max_length=1024, examples=["correct horse"])


@with_config(
    json_schema_extra={"examples": [{"id": 1, "email": "ada@example.com", "created_at": "2026-01-31T12:00:00Z"}]}
)
class User(TypedDict):
    id: int
    email: str
    created_at: datetime


def user_of(user: UserView) -> User:
    return {"id": user.id, "email": user.email, "created_at": user.created_at}


@router.post(
    "", status_code=201, response_model=User, responses=refusals(status_409="An account with this e-mail exists.")
)
async def create_user(body: UserCreate, core: Core) -> Reply[User]:
    """Sign up. The e-mail is unique without regard to case."""
    return Reply(user_of(await core.accounts.sign_up(email=body.email, password=body.password)), 201)


@router.get("/{user_id}", response_model=User, responses=refusals(404))
def get_user(user_id: IdInUrl, core: Core) -> Reply[User]:
    """Look a user up by id."""
    with core.database.read() as connection:
        user = users.get(connection, user_id)
    return Reply(user_of(user), headers=tag_of_user(user))
