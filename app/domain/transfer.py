"""Import and export: the whole content as JSON Lines, gzip when the name ends in `.gz`.

Users come before posts, posts before votes:

    {"type": "user", "email", "display_name", "created_at"}
    {"type": "post", "ref", "author" (e-mail), "title", "content", "tags", "published", "created_at"}
    {"type": "vote", "user" (e-mail), "post" (ref), "value", "created_at"?}

A null `display_name` stands for the default one. Export numbers the refs from 1, so that the bytes depend on the
content alone and not on ids. Passwords, bios and sessions are no part of a dump.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from app.db.bulk import insert_many
from app.domain.clock import now
from app.domain.fields import DisplayName, Email, Moment, TagName, Text, VoteValue
from app.domain.models import post_tags, posts, tags, users, votes
from app.domain.tags import ensure as ensure_tags
from app.domain.text import folded

_BATCH = 5_000
_IDS_IN_A_STATEMENT = 500
_VOTE_COLUMNS = ("user_id", "post_id", "value", "created_at")


class DumpError(Exception):
    """The dump cannot be taken; the message is one line and names the line of the file where there is one."""


class Counts(NamedTuple):
    users: int
    posts: int
    votes: int


class UserRecord(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["user"]
    email: Email
    display_name: DisplayName | None
    created_at: Moment


class PostRecord(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["post"]
    ref: Text
    author: Text
    title: Text
    content: Text
    tags: list[TagName]
    published: Annotated[bool, Field(strict=True)]
    created_at: Moment


class VoteRecord(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["vote"]
    user: Text
    post: Text
    value: VoteValue
    created_at: Moment | None = None


Record = UserRecord | PostRecord | VoteRecord
_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="type")])
_RANK = {UserRecord: 0, PostRecord: 1, VoteRecord: 2}


@contextmanager
def open_dump(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The lines of a dump, and a function that tells how many bytes of the file have been read."""
    with path.open("rb") as raw:
        if path.suffix == ".gz":
            with gzip.open(raw) as unpacked:
                yield unpacked, raw.tell  # type: ignore[misc]  # GzipFile is an IO[bytes] in all that is used here
        else:
            yield raw, raw.tell


@contextmanager
def create_dump(path: Path) -> Iterator[IO[bytes]]:
    """A file to export to, for its owner alone: e-mails are in it. It appears under its name when it is complete, and
    the same content gives the same bytes.
    """
    draft = path.with_name(f"{path.name}.part")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    try:
        with draft.open("wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
                    yield packed  # type: ignore[misc]  # as above
            else:
                yield raw
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def import_dump(
    connection: Connection, lines: Iterable[bytes], *, append: bool, on_progress: Callable[[], None] = lambda: None
) -> Counts:
    """Take a dump into the connection's transaction, streaming, in batches; `on_progress` is called after each.

    DumpError for a broken line, and for a database that has posts unless `append` is set; the caller's transaction
    must then be rolled back.
    """
    if not append and connection.scalar(select(posts.c.id).limit(1)) is not None:
        raise DumpError("the database has posts already; --append adds to what is there")
    importer = _Importer(connection)
    rank = 0
    batch: list[tuple[int, Record]] = []
    for number, record in _records(lines):
        if _RANK[type(record)] < rank:
            raise DumpError(
                f"line {number}: a {record.type} after what must follow it; users, posts, votes is the order"
            )
        if batch and (len(batch) >= _BATCH or _RANK[type(record)] > rank):
            importer.take(batch)
            on_progress()
            batch = []
        rank = _RANK[type(record)]
        batch.append((number, record))
    if batch:
        importer.take(batch)
    importer.count_votes()
    on_progress()
    return importer.counts


def _records(lines: Iterable[bytes]) -> Iterator[tuple[int, Record]]:
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            yield number, _RECORD.validate_json(line)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in found["loc"][1:])
        raise DumpError(f"line {number}: {where}{': ' if where else ''}{found['msg']}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DumpError(f"line {number + 1}: the file is damaged: {error}") from None


@dataclass
class _Importer:
    connection: Connection
    user_ids: dict[str, int] = field(default_factory=dict)  # by folded e-mail
    post_ids: dict[str, int] = field(default_factory=dict)  # by ref
    moment: datetime = field(default_factory=now)
    vote_count: int = 0
    new_users: int = 0

    @property
    def counts(self) -> Counts:
        return Counts(self.new_users, len(self.post_ids), self.vote_count)

    def take(self, batch: list[tuple[int, Any]]) -> None:
        """Insert a batch of records of one type, each with its line number."""
        match batch[0][1]:
            case UserRecord():
                self._take_users(batch)
            case PostRecord():
                self._take_posts(batch)
            case VoteRecord():
                self._take_votes(batch)

    def _take_users(self, batch: list[tuple[int, UserRecord]]) -> None:
        records: dict[str, UserRecord] = {}
        for number, record in batch:
            key = folded(record.email)
            if key in records or key in self.user_ids:
                raise DumpError(f"line {number}: this user appears a second time (case makes no difference)")
            records[key] = record
        self._look_up(records)
        new = {key: record for key, record in records.items() if key not in self.user_ids}
        rows = [
            {
                "email": record.email,
                "email_key": key,
                "display_name": record.display_name,
                "is_admin": False,
                "created_at": record.created_at,
                "updated_at": record.created_at,
            }
            for key, record in new.items()
        ]
        self.user_ids.update(zip(new, self._insert(users, rows), strict=True))
        self.new_users += len(rows)

    def _take_posts(self, batch: list[tuple[int, PostRecord]]) -> None:
        self._look_up(folded(record.author) for _, record in batch)
        rows = []
        for number, record in batch:
            if record.ref in self.post_ids:
                raise DumpError(f"line {number}: a post with this ref came before")
            self.post_ids[record.ref] = 0  # until it has an id
            rows.append(
                {
                    "title": record.title,
                    "title_folded": folded(record.title),
                    "content": record.content,
                    "published": record.published,
                    "owner_id": self._user_id(number, record.author),
                    "votes_up": 0,
                    "votes_down": 0,
                    "created_at": record.created_at,
                    "updated_at": record.created_at,
                }
            )
        ids = self._insert(posts, rows)
        self.post_ids.update(zip((record.ref for _, record in batch), ids, strict=True))
        tag_ids = ensure_tags(self.connection, sorted({name for _, record in batch for name in record.tags}))
        links = [
            (post_id, tag_ids[name], position)
            for post_id, (_, record) in zip(ids, batch, strict=True)
            for position, name in enumerate(dict.fromkeys(record.tags))
        ]
        if links:
            insert_many(self.connection, post_tags, ("post_id", "tag_id", "position"), links)

    def _take_votes(self, batch: list[tuple[int, VoteRecord]]) -> None:
        self._look_up(folded(record.user) for _, record in batch)
        rows: list[tuple[int, tuple[Any, ...]]] = []
        for number, record in batch:
            post_id = self.post_ids.get(record.post)
            if post_id is None:
                raise DumpError(f"line {number}: no post with this ref came before")
            user_id = self._user_id(number, record.user)
            rows.append((number, (user_id, post_id, record.value, record.created_at or self.moment)))
        connection = self.connection
        try:
            with connection.begin_nested():
                insert_many(connection, votes, _VOTE_COLUMNS, [row for _, row in rows])
        except IntegrityError:
            for number, row in rows:  # one of them is there already: find its line
                try:
                    with connection.begin_nested():
                        insert_many(connection, votes, _VOTE_COLUMNS, [row])
                except IntegrityError:
                    raise DumpError(f"line {number}: this user's vote on this post appears a second time") from None
        self.vote_count += len(rows)

    def count_votes(self) -> None:
        """Set the counters of the imported posts to what was imported."""
        ids = list(self.post_ids.values())
        counted = select(func.count()).where(votes.c.post_id == posts.c.id)
        for start in range(0, len(ids), _IDS_IN_A_STATEMENT):
            self.connection.execute(
                update(posts)
                .where(posts.c.id.in_(ids[start : start + _IDS_IN_A_STATEMENT]))
                .values(
                    votes_up=counted.where(votes.c.value == 1).scalar_subquery(),
                    votes_down=counted.where(votes.c.value == -1).scalar_subquery(),
                )
            )

    def _insert(self, table: Any, rows: list[dict[str, Any]]) -> list[int]:
        """The ids of the new rows, in the order of `rows`."""
        if not rows:
            return []
        statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
        return list(self.connection.scalars(statement, rows))

    def _look_up(self, keys: Iterable[str]) -> None:
        """Learn the ids of people who are in the database but were not met in the dump so far."""
        unknown = sorted(set(keys) - self.user_ids.keys())
        for start in range(0, len(unknown), _IDS_IN_A_STATEMENT):
            chunk = unknown[start : start + _IDS_IN_A_STATEMENT]
            found = self.connection.execute(select(users.c.email_key, users.c.id).where(users.c.email_key.in_(chunk)))
            self.user_ids.update(dict(found.all()))

    def _user_id(self, number: int, email: str) -> int:
        user_id = self.user_ids.get(folded(email))
        if user_id is None:
            raise DumpError(f"line {number}: no user with this e-mail came before")
        return user_id


def export_dump(
    connection: Connection, file: IO[bytes], *, on_progress: Callable[[int], None] = lambda _: None
) -> Counts:
    """Write everything, streaming; `on_progress` is told how many records are out. Give it a snapshot."""
    emails: dict[int, str] = {}
    refs: dict[int, str] = {}
    written = 0

    def write(**record: Any) -> None:
        nonlocal written
        file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        written += 1
        if written % _BATCH == 0:
            on_progress(written)

    for user in _stream(connection, select(users).order_by(users.c.id)):
        emails[user.id] = user.email
        write(type="user", email=user.email, display_name=user.display_name, created_at=_time(user.created_at))
    tagged = (
        select(post_tags.c.post_id, tags.c.name)
        .join(tags, tags.c.id == post_tags.c.tag_id)
        .order_by(post_tags.c.post_id, post_tags.c.position)
    )
    names: dict[int, list[str]] = {}
    for row in _stream(connection, tagged):
        names.setdefault(row.post_id, []).append(row.name)
    for ref, post in enumerate(_stream(connection, select(posts).order_by(posts.c.id)), 1):
        refs[post.id] = str(ref)
        write(
            type="post",
            ref=str(ref),
            author=emails[post.owner_id],
            title=post.title,
            content=post.content,
            tags=names.get(post.id, []),
            published=post.published,
            created_at=_time(post.created_at),
        )
    vote_count = 0
    for vote in _stream(connection, select(votes).order_by(votes.c.post_id, votes.c.user_id)):
        vote_count += 1
        created = _time(vote.created_at)
        write(type="vote", user=emails[vote.user_id], post=refs[vote.post_id], value=vote.value, created_at=created)
    on_progress(written)
    return Counts(len(emails), len(refs), vote_count)


def count(connection: Connection) -> int:
    """How many records an export would write."""
    return sum(
        connection.execute(select(func.count()).select_from(table)).scalar_one() for table in (users, posts, votes)
    )


def _stream(connection: Connection, statement: Any) -> Iterable[Any]:
    """The rows, fetched in portions: the whole need not fit in memory."""
    return connection.execute(statement, execution_options={"yield_per": _BATCH})


def _time(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")
