"""Version 2: for new clients. It may only grow."""

from fastapi import APIRouter

from app.api.v2 import auth, clients, lifecycle, posts, tags, users, votes
from app.api.v2.errors import ERRORS
from app.versioning import ApiVersion

router = APIRouter(
    routes=[route for module in (posts, votes, users, tags, auth, clients, lifecycle) for route in module.router.routes]
)

VERSION = ApiVersion(
    name="v2",
    router=router,
    errors=ERRORS,
    title="Tandem",
    summary="Users, posts, tags and votes.",
    description=(
        "Published posts are readable without a token. Lists are read by cursor; errors are problem details "
        "(RFC 9457); bodies are strict. Ids, tokens and facts are the same as in version 1. Requests are counted by "
        "account, registered client or address: `RateLimit-Policy` tells the quotas and `RateLimit` what is left of "
        "them, on every reply."
    ),
    revision="2.0.0",
    documents_limits=True,
    tags=(
        {"name": "users", "description": "Accounts and profiles."},
        {"name": "auth", "description": "Tokens, as OAuth 2.0 has them."},
        {"name": "posts", "description": "Reading and writing posts."},
        {"name": "votes", "description": "Voting posts up and down."},
        {"name": "tags", "description": "What posts are about."},
        {"name": "lifecycle", "description": "How versions end, and who is ready."},
        {"name": "clients", "description": "Programs that call the API: for administrators, and their owners."},
    ),
)
