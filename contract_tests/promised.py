"""The versions that clients rely on (of a preview nothing was released yet), and replies that are out of the usual."""

from app.api import VERSIONS

PROMISED = tuple(version for version in VERSIONS if version.promised)
# What HTTP answers to If-None-Match and If-Match, and to nobody else, and to who asks too often: (version, operation,
# status). Version 1 does so as well, and its document is frozen (docs/decisions/0011, 0013).
UNDOCUMENTED = {
    ("v1", "GET /v1/users/{user_id}", "304"),
    ("v1", "GET /v1/posts/{post_id}", "304"),
    ("v1", "PUT /v1/posts/{post_id}", "412"),
    ("v1", "PATCH /v1/posts/{post_id}", "412"),
    ("v1", "DELETE /v1/posts/{post_id}", "412"),
    ("v1", "POST /v1/users", "429"),
    ("v1", "GET /v1/users/{user_id}", "429"),
    ("v1", "POST /v1/login", "429"),
    ("v1", "GET /v1/posts", "429"),
    ("v1", "POST /v1/posts", "429"),
    ("v1", "GET /v1/posts/{post_id}", "429"),
    ("v1", "PUT /v1/posts/{post_id}", "429"),
    ("v1", "PATCH /v1/posts/{post_id}", "429"),
    ("v1", "DELETE /v1/posts/{post_id}", "429"),
    ("v1", "POST /v1/vote", "429"),
}
# Documented, and not to be had by asking one thing after another: (version, operation, status).
NOT_RECORDED = {
    # Two requests must meet; tests/v2/test_idempotency.py lets them.
    ("v2", "POST /v2/auth/revoke", "409"),
    ("v2", "POST /v2/auth/token", "409"),
    ("v2", "POST /v2/posts", "409"),
}
