"""What a client of version 2 does, written against the package made from the document."""

from typing import TypeVar

from schema_v2 import AuthenticatedClient, Client
from schema_v2.api.auth import create_token
from schema_v2.api.posts import create_post, delete_post, get_post, list_posts, replace_post, update_post
from schema_v2.api.users import create_user
from schema_v2.api.votes import put_vote
from schema_v2.models import (
    Account,
    AccountCreate,
    CreateTokenBodyType0,
    ListPostsSort,
    Post,
    PostPage,
    PostPatch,
    PostWrite,
    ProblemDetails,
    TokenPair,
    ValidationProblemDetails,
    Vote,
    VoteResult,
    VoteValue,
)

T = TypeVar("T")


def got(reply: object, kind: type[T]) -> T:
    """The reply, which must be of the promised kind."""
    assert isinstance(reply, kind), f"{reply} instead of {kind.__name__}"
    return reply


def scenario(base_url: str, word: str) -> dict[str, object]:
    email = f"{word}@example.com"
    anonymous = Client(base_url, raise_on_unexpected_status=True)
    user = got(create_user.sync(client=anonymous, body=AccountCreate(email, "correct horse")), Account)
    form = CreateTokenBodyType0("password", email, "correct horse")
    token = got(create_token.sync(client=anonymous, body=form), TokenPair)
    client = AuthenticatedClient(base_url, token.access_token, raise_on_unexpected_status=True)

    written = [
        got(create_post.sync(client=client, body=PostWrite(f"{word} {title}", "some content", tags=["a-tag"])), Post)
        for title in ("one", "two", "three")
    ]
    one, two, _ = written

    def titles() -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            reply = list_posts.sync(
                client=client, q=word, tag=["a-tag"], limit=2, sort=ListPostsSort.CREATED_AT, cursor=cursor
            )
            page = got(reply, PostPage)
            found += [post.title.removeprefix(f"{word} ") for post in page.data]
            cursor = page.page.next_cursor
            if cursor is None:
                return found

    listed = titles()
    replaced = PostWrite(f"{word} replaced", "other content", tags=["a-tag"])
    got(replace_post.sync(one.id, client=client, body=replaced), Post)
    got(update_post.sync(two.id, client=client, body=PostPatch(title=f"{word} patched")), Post)
    got(put_vote.sync(one.id, client=client, body=Vote(VoteValue.VALUE_1)), VoteResult)
    read = got(get_post.sync(one.id, client=client), Post)

    deleted = delete_post.sync_detailed(two.id, client=client)
    assert deleted.status_code == 204
    missing = get_post.sync_detailed(two.id, client=client)
    invalid = create_post.sync_detailed(client=client, body=PostWrite("", "other content"))
    return {
        "author": read.author.id == user.id and read.author.display_name == user.display_name and read.my_vote == 1,
        "listed": listed,
        "votes": read.votes.score,
        "left": titles(),
        "missing": missing.status_code == 404 and got(missing.parsed, ProblemDetails).code == "post-not-found",
        "invalid": got(invalid.parsed, ValidationProblemDetails).errors[0].pointer == "#/title",
    }
