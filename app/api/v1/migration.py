"""The migration map: what becomes of each operation of version 1, and of all it takes and gives, in version 2.

`contract_tests/test_migration.py` holds it against both documents and against what both versions answer.
"""

from app.api.v1.successor import resource
from app.versioning import Difference, Migration, OperationMap
from app.versioning.migration import Place

_OTHERS_EMAIL = "Nobody is shown another's e-mail any more. One's own is in GET /v2/users/me."
_CALLED_AUTHOR = "The owner is called author."
_UNWRAPPED = "The post is no longer wrapped: its members are where `Post` was."


def _kept(place: Place, *names: str) -> list[Difference]:
    return [Difference(place, "kept", name, name, hits="nobody") for name in names]


def _added(place: Place, *names: str, note: str = "") -> list[Difference]:
    return [Difference(place, "added", None, name, note=note, hits="nobody") for name in names]


def _function(old: str, new: str) -> Difference:
    note = "Generated clients name a function after the operationId."
    return Difference("operation", "renamed", old, new, "trivial", note, "nobody")


def _post(old: str, new: str) -> list[Difference]:
    """A post, which was at one place of the reply and is at another."""
    members = [
        Difference("reply", "kept", f"{old}/{name}", f"{new}/{name}", hits="nobody")
        if old == new
        else Difference("reply", "moved", f"{old}/{name}", f"{new}/{name}", "mechanical")
        for name in ("id", "title", "content", "published", "created_at")
    ]
    return [
        *members,
        Difference("reply", "moved", f"{old}/owner_id", f"{new}/author/id", "mechanical", _CALLED_AUTHOR),
        Difference("reply", "moved", f"{old}/owner/id", f"{new}/author/id", "mechanical", _CALLED_AUTHOR),
        Difference("reply", "removed", f"{old}/owner/email", None, "semantic", _OTHERS_EMAIL),
        Difference(
            "reply", "removed", f"{old}/owner/created_at", None, "semantic", "It is in GET /v2/users/{user_id}."
        ),
        *_added("reply", f"{new}/author/display_name", f"{new}/tags", f"{new}/my_vote", f"{new}/updated_at"),
    ]


def _votes(old: str, new: str) -> list[Difference]:
    return [
        Difference("reply", "split", old, f"{new}/up", "mechanical", "Up-votes and down-votes are counted apart."),
        *_added("reply", f"{new}/down", f"{new}/score"),
    ]


_STRICT = Difference(
    "body",
    "changed",
    "",
    "",
    "mechanical",
    "Members that the document does not name are refused with 422; version 1 ignores them. Who sends some cannot be "
    "seen in the usage ledger.",
)
_JSON_ONLY = Difference(
    "status",
    "added",
    None,
    "415",
    "mechanical",
    "The body's Content-Type is application/json. Version 1 also takes other types that end in +json, and refuses the "
    "rest with 422.",
)
_INVALID = Difference(
    "errors",
    "retyped",
    "/detail/*",
    "/errors/*",
    "mechanical",
    "In a 422 the list is in `errors`: `msg` is called `detail`, `type` is called `code`, and `loc` has become "
    "`parameter`, or `pointer` for what is in the body. `detail` is a sentence, as in every other refusal.",
    "refused",
)
_NO_ID = Difference(
    "errors",
    "retyped",
    "/detail/*",
    "/errors/*",
    "trivial",
    "In a 422 the list is in `errors`; only an id that is no number is answered so.",
    "refused",
)
_OPEN = Difference(
    "security", "changed", None, None, "trivial", "Published posts are readable without a token.", "nobody"
)
_PASSWORD = Difference(
    "body",
    "changed",
    "/password",
    "/password",
    "semantic",
    "A new password has at least 8 characters instead of 1. Shorter ones stay good.",
    "senders",
)
_TEXTS = [
    Difference("body", "changed", "/title", "/title", "semantic", "A title has 1 to 300 characters.", "senders"),
    Difference(
        "body", "changed", "/content", "/content", "semantic", "A content has 1 to 50,000 characters.", "senders"
    ),
]
_VALUES = {"successfully added vote": 1}

_USERS = [
    OperationMap(
        "POST /users",
        ["POST /users"],
        [
            *_kept("body", "/email"),
            _PASSWORD,
            *_added("body", "/display_name"),
            _STRICT,
            _JSON_ONLY,
            *_kept("reply", "/id", "/email", "/created_at"),
            *_added("reply", "/display_name", "/bio", "/updated_at"),
            *_added("header", "location", note="The path of the new user."),
            _INVALID,
        ],
    ),
    OperationMap(
        "GET /users/{user_id}",
        ["GET /users/{user_id}"],
        [
            *_kept("path", "user_id"),
            *_kept("reply", "/id", "/created_at"),
            Difference("reply", "removed", "/email", None, "semantic", _OTHERS_EMAIL),
            *_added("reply", "/display_name", "/bio"),
            _NO_ID,
        ],
    ),
]
_LOGIN = OperationMap(
    "POST /login",
    ["POST /auth/token"],
    [
        Difference("operation", "moved", "/login", "/auth/token", "trivial", "Another path."),
        _function("login", "create_token"),
        Difference("body", "kept", "/username", "/username", "trivial", "An empty one is refused.", "nobody"),
        Difference("body", "changed", "/password", "/password", "trivial", "An empty one is refused.", "nobody"),
        Difference(
            "body", "changed", "/client_id", "/client_id", "trivial", "Empty counts as absent, as ever.", "nobody"
        ),
        Difference(
            "body", "changed", "/grant_type", "/grant_type", "mechanical", "Always send `password`.", "omitters"
        ),
        *_added("body", "/refresh_token", note="`grant_type=refresh_token` exchanges it for the next pair of tokens."),
        *_kept("reply", "/access_token"),
        Difference(
            "reply",
            "changed",
            "/token_type",
            "/token_type",
            "trivial",
            "`Bearer` instead of `bearer`; the case of it makes no difference (RFC 6749, section 5.1).",
            convert=str.capitalize,
        ),
        *_added("reply", "/expires_in", "/refresh_token"),
        Difference(
            "status",
            "changed",
            "403",
            "400",
            "mechanical",
            "A wrong e-mail or password is 400 with `error: invalid_grant`.",
            "refused",
        ),
        Difference(
            "errors",
            "renamed",
            "/detail",
            "/error_description",
            "mechanical",
            "What is wrong with the form or the password is told as OAuth 2.0 has it (RFC 6749, section 5.2): `error` "
            "is a code, `error_description` for people.",
            "refused",
        ),
        *_added("errors", "/error"),
    ],
)
_LIST = OperationMap(
    "GET /posts",
    ["GET /posts"],
    [
        Difference(
            "query",
            "changed",
            "limit",
            "limit",
            "mechanical",
            "20 when it is left out, instead of 10: send `limit=10` for pages as they were.",
            "omitters",
        ),
        Difference(
            "query",
            "changed",
            "limit",
            "limit",
            "semantic",
            "1 to 100, instead of 0 to 1000: read more by going from page to page.",
            "senders",
        ),
        Difference(
            "query",
            "removed",
            "skip",
            "cursor",
            "semantic",
            "Lists are read from page to page: send `page.next_cursor` as `cursor`, or follow the Link header. The "
            "link `successor-version` of a reply of version 1 has a cursor that begins at its `skip`.",
            "senders",
        ),
        Difference("query", "renamed", "search", "q", "mechanical", "Called `q`; finds the same.", "senders"),
        Difference(
            "rule",
            "changed",
            None,
            "sort",
            "mechanical",
            "The newest come first. `sort=created_at` is the order of version 1, but for imported posts: they go by "
            "when they were written, not by id.",
        ),
        *_added("query", "sort", "author_id", "tag", "published", "created_after", "created_before"),
        _OPEN,
        Difference("reply", "moved", "", "/data", "mechanical", "The array is in `data`, beside `page`."),
        Difference("reply", "moved", "/*/Post", "/data/*", "mechanical", _UNWRAPPED),
        *_post("/*/Post", "/data/*"),
        *_votes("/*/votes", "/data/*/votes"),
        *_added("reply", "/page"),
        *_added("header", "link", note="The next and the previous page (RFC 8288)."),
        *_added("status", "400", note="A cursor that does not belong to the list."),
        _INVALID,
    ],
    example={"limit": 10, "skip": 20, "search": "engines"},
)
_POSTS = [
    _LIST,
    OperationMap(
        "POST /posts",
        ["POST /posts"],
        [
            *_TEXTS,
            *_kept("body", "/published"),
            *_added("body", "/tags"),
            _STRICT,
            _JSON_ONLY,
            *_post("", ""),
            *_added("reply", "/votes"),
            *_added("header", "location", note="The path of the new post."),
            _INVALID,
        ],
    ),
    OperationMap(
        "GET /posts/{post_id}",
        ["GET /posts/{post_id}"],
        [
            *_kept("path", "post_id"),
            _OPEN,
            Difference("reply", "moved", "/Post", "", "mechanical", _UNWRAPPED),
            *_post("/Post", ""),
            *_votes("/votes", "/votes"),
            _NO_ID,
        ],
    ),
    OperationMap(
        "PUT /posts/{post_id}",
        ["PUT /posts/{post_id}"],
        [
            *_kept("path", "post_id"),
            *_TEXTS,
            *_kept("body", "/published"),
            Difference(
                "body",
                "added",
                None,
                "/tags",
                "semantic",
                "Tags are replaced as well: a PUT without `tags` takes all of them away. Send those that are there, "
                "or PATCH, which leaves alone what it does not name.",
            ),
            _STRICT,
            _JSON_ONLY,
            *_post("", ""),
            *_added("reply", "/votes"),
            _INVALID,
        ],
    ),
    OperationMap(
        "PATCH /posts/{post_id}",
        ["PATCH /posts/{post_id}"],
        [
            *_kept("path", "post_id"),
            *_TEXTS,
            *_kept("body", "/published"),
            *_added("body", "/tags", note="`null` takes all of them away."),
            *_added("media", "application/merge-patch+json", note="RFC 7396; plain JSON means the same."),
            _STRICT,
            _JSON_ONLY,
            *_post("", ""),
            *_added("reply", "/votes"),
            _INVALID,
        ],
    ),
    OperationMap("DELETE /posts/{post_id}", ["DELETE /posts/{post_id}"], [*_kept("path", "post_id"), _NO_ID]),
]
_VOTE = OperationMap(
    "POST /vote",
    ["PUT /posts/{post_id}/vote", "DELETE /posts/{post_id}/vote"],
    [
        Difference("operation", "split", "/vote", "/posts/{post_id}/vote", "semantic", "A vote is part of its post."),
        _function("vote", "put_vote"),
        Difference("body", "moved", "/post_id", None, "mechanical", "It is in the path."),
        Difference(
            "body",
            "split",
            "/dir",
            "/value",
            "semantic",
            '1 is PUT with {"value": 1}; 0 is DELETE, without a body. A vote can be -1, too.',
        ),
        _STRICT,
        _JSON_ONLY,
        Difference("status", "changed", "201", "200", "mechanical", "PUT is answered 200, DELETE 204."),
        Difference(
            "status", "removed", "409", None, "mechanical", "Voting again changes nothing and is no error.", "refused"
        ),
        Difference(
            "rule",
            "changed",
            "404",
            None,
            "mechanical",
            "Taking back a vote that is not there is no error: 404 means that there is no such post.",
            "refused",
        ),
        Difference(
            "rule", "changed", None, None, "semantic", "DELETE takes a down-vote back, too; `dir: 0` leaves it alone."
        ),
        Difference(
            "reply",
            "retyped",
            "/message",
            "/value",
            "mechanical",
            "The vote as a number, instead of a sentence; DELETE has no body.",
            convert=_VALUES.get,
        ),
        *_added("reply", "/votes", note="The post's counters."),
        _INVALID,
    ],
    example={"dir": 1},
)
_EVERYWHERE = [
    Difference(
        "rule", "changed", "/v1", "/v2", "trivial", "Paths begin with /v2, and end without a slash. Ids are the same."
    ),
    Difference(
        "security",
        "renamed",
        "OAuth2Password",
        "OAuth2",
        "trivial",
        "A token of either version is good in both; only the documents call the scheme another name.",
        "nobody",
    ),
    Difference(
        "errors",
        "kept",
        "/detail",
        "/detail",
        "trivial",
        "Refusals are problem details (RFC 9457), as application/problem+json. `detail` is still the text for people; "
        "`code` is stable and for programs.",
        "refused",
    ),
    *_added("errors", "/type", "/title", "/status", "/instance", "/code", "/request_id"),
    *_added("header", "etag", "If-None-Match", "If-Match", note="Of posts and users; version 1 answers to them, too."),
    *_added("status", "429", note="Version 1 answers so, too: RateLimit tells what X-RateLimit-* tells there."),
    *_added("header", "Idempotency-Key", "idempotent-replayed", note="A POST that is sent again with it is done once."),
    *_added("status", "304", "409", "412", note="New to nobody but who sends one of these headers."),
    Difference("status", "removed", "410", None, "trivial", "Version 2 has no end, nor brownouts.", "nobody"),
    Difference(
        "operation",
        "added",
        None,
        None,
        "trivial",
        "What version 1 has nothing like is new: version 2's document lists it.",
        "nobody",
    ),
]

MIGRATION = Migration(resource=resource, operations=[*_USERS, _LOGIN, *_POSTS, _VOTE], everywhere=_EVERYWHERE)
