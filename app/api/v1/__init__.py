"""Version 1: what clients pinned years ago speak. Frozen; see contracts and API.md's v1."""

from datetime import UTC, datetime

from fastapi import APIRouter

from app.api.v1 import auth, posts, users, votes
from app.api.v1.errors import ERRORS
from app.api.v1.migration import MIGRATION
from app.versioning import ApiVersion
from app.versioning.quotas import x_ratelimit_fields

router = APIRouter(routes=[route for module in (posts, votes, users, auth) for route in module.router.routes])

VERSION = ApiVersion(
    name="v1",
    router=router,
    errors=ERRORS,
    title="Tandem",
    summary="Users, posts and votes, for clients pinned to version 1.",
    description=(
        "Frozen: nothing is added, changed or removed. Lists are bare arrays read by `limit` and `skip`; errors are "
        '`{"detail": …}`. Every path answers with and without a trailing slash. New clients use version 2.'
    ),
    revision="1.0.0",
    tags=(
        {"name": "users", "description": "Signing up, and looking people up."},
        {"name": "auth", "description": "Exchanging a password for a token."},
        {"name": "posts", "description": "Reading and writing posts."},
        {"name": "votes", "description": "Voting for posts."},
    ),
    ignores_trailing_slash=True,
    frozen=True,
    status="deprecated",
    deprecated=datetime(2026, 11, 20, tzinfo=UTC),
    sunset=datetime(2028, 11, 20, tzinfo=UTC),
    successor="v2",
    policy="/policy",
    token_paths=("/v1/login",),
    migration=MIGRATION,
    limit_fields=x_ratelimit_fields,
)
