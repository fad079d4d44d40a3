"""What a client of version 1 does, written against the package made from the document."""

from typing import TypeVar

from schema_v1 import AuthenticatedClient, Client
from schema_v1.api.auth import login
from schema_v1.api.posts import create_post, delete_post, get_post, list_posts, replace_post, update_post
from schema_v1.api.users import create_user
from schema_v1.api.votes import vote
from schema_v1.models import (
    Error,
    LoginForm,
    Post,
    PostPatch,
    PostWithVotes,
    PostWrite,
    Token,
    User,
    UserCreate,
    ValidationErrors,
    Vote,
    VoteDir,
    VoteResult,
)

T = TypeVar("T")


def got(reply: object, kind: type[T]) -> T:
    """The reply, which must be of the promised kind."""
    assert isinstance(reply, kind), f"{reply} instead of {kind.__name__}"
    return reply


def scenario(base_url: str, word: str) -> dict[str, object]:
    email = f"{word}@example.com"
    anonymous = Client(base_url, raise_on_unexpected_status=True)
    user = got(create_user.sync(client=anonymous, body=UserCreate(email, "correct horse")), User)
    token = got(login.sync(client=anonymous, body=LoginForm(email, "correct horse")), Token)
    client = AuthenticatedClient(base_url, token.access_token, raise_on_unexpected_status=True)

    written = [
        got(create_post.sync(client=client, body=PostWrite(f"{word} {title}", "some content")), Post)
        for title in ("one", "two", "three")
    ]
    one, two, _ = written

    def titles() -> list[str]:
        found: list[str] = []
        while True:
            page = got(list_posts.sync(client=client, search=word, limit=2, skip=len(found)), list)
            found += [got(row, PostWithVotes).post.title.removeprefix(f"{word} ") for row in page]
            if len(page) < 2:
                return found

    listed = titles()
    replaced = PostWrite(f"{word} replaced", "other content")
    got(replace_post.sync(one.id, client=client, body=replaced), Post)
    got(update_post.sync(two.id, client=client, body=PostPatch(title=f"{word} patched")), Post)
    got(vote.sync(client=client, body=Vote(one.id, VoteDir.VALUE_1)), VoteResult)
    read = got(get_post.sync(one.id, client=client), PostWithVotes)

    deleted = delete_post.sync_detailed(two.id, client=client)
    assert deleted.status_code == 204
    missing = get_post.sync_detailed(two.id, client=client)
    invalid = vote.sync_detailed(client=client, body=Vote(0, VoteDir.VALUE_1))
    return {
        "author": read.post.owner_id == user.id and read.post.owner.email == email,
        "listed": listed,
        "votes": read.votes,
        "left": titles(),
        "missing": missing.status_code == 404 and got(missing.parsed, Error).detail == "No such post",
        "invalid": invalid.status_code == 422 and got(invalid.parsed, ValidationErrors).detail[0].loc[-1] == "post_id",
    }
