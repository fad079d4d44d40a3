"""Version 1: logging in, and who is calling."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, Field

from app.api import services
from app.api.services import CallerOf, Core, registered_client
from app.domain.fields import Text
from app.versioning import Reply
from app.versioning.openapi import refusals

router = APIRouter(tags=["auth"])
_scheme = OAuth2PasswordBearer(tokenUrl="/v1/login", scheme_name="OAuth2Password")
Caller = Annotated[services.Caller, Depends(CallerOf(_scheme))]


class LoginForm(BaseModel):
    """The password form of OAuth 2.0 (RFC 6749, section 4.3.2)."""

    username: Text = Field(description="The e-mail.", examples=["ada@example.com"])
    password: Text = Field(max_length=1024, examples=["correct horse"])
    grant_type: Literal["password"] | None = None
    client_id: Text | None = None


class Token(BaseModel):
    access_token: str
    token_type: Literal["bearer"]


@router.post("/login", response_model=Token, responses=refusals(status_403="The e-mail or the password is wrong."))
async def login(form: Annotated[LoginForm, Form()], request: Request, core: Core) -> Reply[Token]:
    """Exchange e-mail and password for an access token."""
    login = await core.accounts.log_in(
        email=form.username,
        password=form.password,
        lifetime=core.tokens.lifetime,
        client_id=await registered_client(request, form.client_id),
    )
    request.state.client_id = login.client_id  # not before: whoever fails to log in is not known to be that client
    issued = core.tokens.issue(login.user_id, login.session_id, login.client_id)
    token = Token(access_token=issued, token_type="bearer")  # a token type and no secret  # nosec B106
    return Reply(token, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})  # RFC 6749, section 5.1
