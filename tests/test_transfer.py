"""Import and export, through the command: what goes in comes out again, or nothing goes in."""

import gzip
import json
import re
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.domain.models import posts, users, votes
from app.main import create_app
from tests.conftest import make_settings
from tests.steps import Steps
from tests.test_cli import one_line, tandem
from tests.test_migrations import new_database, opened

pytestmark = pytest.mark.usefixtures("scratch")

TIME = "2026-01-01T00:00:00Z"
SECOND_TIME = "2026-01-02T03:04:05.000006Z"
BATCH = 5_000


def user(email="ada@example.com", **fields):
    return {"type": "user", "email": email, "display_name": None, "created_at": TIME, **fields}


def post(ref="1", author="ada@example.com", **fields):
    values = {"title": "t", "content": "c", "tags": [], "published": True, "created_at": TIME}
    return {"type": "post", "ref": ref, "author": author, **values, **fields}


def vote(voter="ada@example.com", ref="1", value=1, **fields):
    return {"type": "vote", "user": voter, "post": ref, "value": value, **fields}


def without(record, name):
    return {key: value for key, value in record.items() if key != name}


def as_lines(records):
    """As export writes them; bytes among the records stay as they are."""
    encoded = (
        record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        for record in records
    )
    return b"".join(line + b"\n" for line in encoded)


@pytest.fixture
def folder(scratch):
    return scratch


@pytest.fixture
def empty_url(database_url, folder):
    """Where a migrated database of one's own is."""
    with new_database(database_url, folder) as url:
        yield url


@pytest.fixture
def other_kind(database_url, postgres_url, folder):
    """A database of the kind that this test's own is not."""
    with new_database(postgres_url if database_url.startswith("sqlite") else "sqlite", folder) as url:
        yield url


def exported(url, name="out.jsonl"):
    result = tandem("export", name, DATABASE_URL=url)
    assert result.code == 0, result.err
    return Path(name).read_bytes()


def taken(url, records, *options, name="in.jsonl"):
    Path(name).write_bytes(as_lines(records))
    return tandem("import", name, *options, DATABASE_URL=url)


def counters_equal_rows(url):
    with opened(url) as database, database.read() as connection:
        counted = [
            sa.select(sa.func.count()).where(votes.c.post_id == posts.c.id, votes.c.value == value).scalar_subquery()
            for value in (1, -1)
        ]
        rows = connection.execute(
            sa.select(posts.c.votes_up, posts.c.votes_down, posts.c.score, *counted).order_by(posts.c.id)
        ).all()
    assert all((up, down, score) == (ups, downs, ups - downs) for up, down, score, ups, downs in rows)
    return [(row.votes_up, row.votes_down) for row in rows]


RECORDS = [
    user("Zoe@Example.com", display_name="Zoë 🦉\u2028"),
    user("ada@example.com", created_at="0001-01-01T00:00:00Z"),
    user("ada@example.org", display_name='"quoted", \\ and\ttabbed', created_at=SECOND_TIME),
    post("1", "ada@example.com", title="", content="", published=False),
    post("2", "Zoe@Example.com", title="İstanbul ß ẞ", content='a,"b"\r\n\u0085\x7f\\N', tags=["z", "a", "0-9"]),
    post("3", "ada@example.org", title="x" * 4000, content="€" * 60_000, created_at="9999-12-31T23:59:59.999999Z"),
    vote("Zoe@Example.com", "1", -1, created_at=TIME),
    vote("ada@example.com", "2", 1, created_at=TIME),
    vote("ada@example.org", "2", -1, created_at=SECOND_TIME),
    vote("Zoe@Example.com", "3", 1, created_at=SECOND_TIME),
]


def test_import_then_export_gives_the_same_bytes(empty_url, other_kind, folder):
    """A dump with all there can be comes out byte for byte, also by way of the other kind of database and of gzip."""
    dump = as_lines(RECORDS)
    done = taken(empty_url, RECORDS)
    assert (done.code, done.out) == (0, "imported 3 users, 3 posts, 4 votes\n")
    assert exported(empty_url) == dump
    assert counters_equal_rows(empty_url) == [(0, 1), (1, 1), (1, 0)]
    packed = exported(empty_url, "out.jsonl.gz")
    assert gzip.decompress(packed) == dump
    assert packed[3:8] == bytes(5)  # neither a name nor a time in its head
    assert tandem("import", "out.jsonl.gz", DATABASE_URL=other_kind).code == 0
    assert exported(other_kind) == dump
    assert exported(other_kind, "another-name.gz") == packed
    assert not list(folder.glob("*.part"))


def test_what_the_api_made_survives(steps, database_url, empty_url, other_kind):
    """Content made through both versions, with gaps in its ids, is the same after a journey through both databases."""
    people = [steps.person(f"Person.{n}@example.com", display_name="ねこ" if n == 1 else None) for n in range(5)]
    ids = [steps.post(person, f"Título {n}", tags=["b", "a", f"t{n}"])["id"] for n, person in enumerate(people)]
    steps.post(people[1], "a draft", published=False, tags=["hidden"])
    for voter in people:
        for post_id in ids:
            if voter.id != post_id:
                steps.vote(voter, post_id, -1 if (voter.id + post_id) % 3 == 0 else 1)
    steps.client.delete("/v2/users/me", headers=people[0].headers)
    steps.client.delete(f"/v2/posts/{ids[2]}", headers=people[2].headers)
    steps.client.delete(f"/v1/posts/{ids[4]}", headers=people[4].headers)
    made = steps.client.post("/v1/posts", json={"title": "last", "content": "of all"}, headers=people[4].headers)
    assert made.status_code == 201
    dump = exported(database_url)
    records = [json.loads(line) for line in dump.splitlines()]
    assert [record["ref"] for record in records if record["type"] == "post"] == ["1", "2", "3", "4"]
    assert b"password" not in dump
    for url in (empty_url, other_kind):
        assert tandem("import", "out.jsonl", DATABASE_URL=url).code == 0
        assert exported(url) == dump
        assert counters_equal_rows(url) == counters_equal_rows(database_url)
        with TestClient(create_app(make_settings(url))) as client:
            shown = client.get("/v2/posts", params={"sort": "created_at"}).json()["data"]
            before = steps.client.get("/v2/posts", params={"sort": "created_at"}).json()["data"]
            for now, then in zip(shown, before, strict=True):
                assert now["tags"] == then["tags"]
                assert now["votes"] == then["votes"]
                assert now["created_at"] == then["created_at"]
            assert client.get("/v2/tags", params={"prefix": "hidden"}).json()["data"] == []
            assert Steps(client).person("someone.else@example.com")  # ids go on behind the imported ones


def test_form_of_the_lines(database_url, steps):
    """Each line has exactly the documented members in their order, without escapes or blanks."""
    ada = steps.person("ada@example.com", display_name="Ådå")
    steps.vote(ada, steps.post(ada, "ß", tags=["b", "a"])["id"], -1)
    lines = exported(database_url).decode().splitlines()
    time = r"....-..-..T..:..:..(\.[0-9]{6})?Z"
    assert [list(json.loads(line)) for line in lines] == [
        ["type", "email", "display_name", "created_at"],
        ["type", "ref", "author", "title", "content", "tags", "published", "created_at"],
        ["type", "user", "post", "value", "created_at"],
    ]
    assert lines[0].startswith('{"type":"user","email":"ada@example.com","display_name":"Ådå","created_at":"')
    assert '"title":"ß","content":"some content","tags":["b","a"],"published":true,' in lines[1]
    assert '"post":"1","value":-1,' in lines[2]
    assert all(re.fullmatch(time, json.loads(line)["created_at"]) for line in lines)


def test_an_empty_dump(empty_url):
    """No content is a dump of no lines, and can be taken in again."""
    assert exported(empty_url) == b""
    done = tandem("import", "out.jsonl", DATABASE_URL=empty_url)
    assert (done.code, done.out) == (0, "imported 0 users, 0 posts, 0 votes\n")


def test_export_replaces_a_file_as_a_whole(empty_url, folder):
    """An export over a file leaves the new content alone, for its owner; one that cannot be made leaves the old."""
    (folder / "out.jsonl").write_bytes(b"x" * 100_000)
    taken(empty_url, [user()])
    assert exported(empty_url) == as_lines([user()])
    assert stat.S_IMODE((folder / "out.jsonl").stat().st_mode) == 0o600
    with opened(empty_url) as database, database.write() as connection:
        connection.execute(sa.text("ALTER TABLE votes RENAME TO elsewhere"))
    one_line(tandem("export", "out.jsonl", DATABASE_URL=empty_url))
    assert (folder / "out.jsonl").read_bytes() == as_lines([user()])
    assert not list(folder.glob("*.part"))


def test_what_is_optional_and_what_is_normalised(empty_url):
    """A vote without a time gets the import's, times become UTC, repeated tags count once, line ends may be CR LF."""
    records = [
        user(created_at="2026-01-01T01:30:00.5+01:30"),
        post(tags=["b", "a", "b"], author="ADA@EXAMPLE.COM"),
        vote(created_at=None),
        vote("Bob@example.com"),
    ]
    records.insert(1, user("bob@example.com"))
    dump = b"\r\n".join(as_lines(records).splitlines())  # the last line without an end
    assert taken(empty_url, [dump.removesuffix(b"\n")]).code == 0
    first, second, third, *both = [json.loads(line) for line in exported(empty_url).splitlines()]
    assert first["created_at"] == "2026-01-01T00:00:00.500000Z"
    assert second["email"] == "bob@example.com"
    assert (third["author"], third["tags"]) == ("ada@example.com", ["b", "a"])
    assert len({record["created_at"] for record in both}) == 1
    assert both[0]["created_at"] > "2026-01-02"


def test_a_database_with_posts_is_refused(empty_url):
    """Without --append a second import is refused and changes nothing; people without posts are no hindrance."""
    assert taken(empty_url, [user(display_name="first")]).code == 0
    assert taken(empty_url, [user("ADA@example.com", display_name="second"), post()]).code == 0
    before = exported(empty_url)
    assert before == as_lines([user(display_name="first"), post()])
    refused = taken(empty_url, [user("new@example.com")])
    assert one_line(refused) == "the database has posts already; --append adds to what is there"
    assert exported(empty_url) == before


def test_append(steps, database, database_url):
    """--append matches people by e-mail without regard to case and leaves them as they are; posts are always new."""
    ada, bob = steps.person("Ada@Example.com", display_name="Ada"), steps.person("bob@example.com")
    old = steps.post(ada, "old", tags=["kept", "old"])
    steps.vote(bob, old["id"], 1)
    records = [
        user("aDA@example.com", display_name="Impostor"),
        user("cyd@example.com", display_name="Cyd"),
        post("x", "ADA@EXAMPLE.COM", title="first", tags=["new", "kept"]),
        post("y", "BOB@example.com", title="second", published=False),  # bob is in the database alone
        vote("BOB@example.com", "x", -1),
        vote("Cyd@example.com", "x", 1),
    ]
    done = taken(database_url, records, "--append")
    assert (done.code, done.out) == (0, "imported 1 users, 2 posts, 2 votes\n")
    assert steps.log_in("ada@example.com")
    assert steps.client.get("/v2/users/me", headers=ada.headers).json()["display_name"] == "Ada"
    assert steps.client.get("/v2/users/me", headers=ada.headers).json()["email"] == "Ada@Example.com"
    assert counters_equal_rows(database_url) == [(1, 0), (1, 1), (0, 0)]
    found = steps.client.get("/v2/posts", params={"tag": "kept", "author_id": ada.id}).json()["data"]
    assert sorted((item["title"], item["tags"]) for item in found) == [
        ("first", ["new", "kept"]),
        ("old", ["kept", "old"]),
    ]
    assert taken(database_url, records, "--append").out == "imported 0 users, 2 posts, 2 votes\n"
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(posts)) == 5
        assert connection.scalar(sa.select(sa.func.count()).select_from(users)) == 3


GOOD = [user(), post()]
BROKEN = {
    "not JSON": ([user(), b"{"], 2),
    "an empty line": ([user(), b"", post()], 2),
    "not an object": ([b"[]"], 1),
    "not UTF-8": ([user(), b'{"type":"user","email":"\xff@example.com"}'], 2),
    "a byte order mark": ([b"\xef\xbb\xbf" + as_lines([user()]).strip()], 1),
    "a lone surrogate": ([user(), as_lines([post(title="?")]).strip().replace(b"?", rb"\ud800")], 2),
    "a time as a number": ([user(created_at=1)], 1),
    "NUL in a title": ([user(), post(title="a\x00b")], 2),
    "NUL in a name": ([user(display_name="a\x00b")], 1),
    "an unknown type": ([user(), {"type": "tag"}], 2),
    "no type": ([without(user(), "type")], 1),
    "a user without e-mail": ([without(user(), "email")], 1),
    "a user without display_name": ([without(user(), "display_name")], 1),
    "not an e-mail": ([user("ada")], 1),
    "an empty name": ([user(display_name="")], 1),
    "a long name": ([user(display_name="x" * 101)], 1),
    "no such day": ([user(created_at="2026-02-30T00:00:00Z")], 1),
    "a time without a zone": ([user(created_at="2026-01-01T00:00:00")], 1),
    "an unknown member": ([user(is_admin=True)], 1),
    "a second user": ([user(), user("b@example.com"), user("ADA@example.com")], 3),
    "an unknown author": ([user(), post(), post("2", author="bob@example.com")], 3),
    "a second ref": ([*GOOD, post("2"), post("1")], 4),
    "a ref that is a number": ([user(), post(1)], 2),
    "a bad tag": ([user(), post(tags=["good", "Bad Tag"])], 2),
    "published that is text": ([user(), post(published="true")], 2),
    "published that is a number": ([user(), post(published=1)], 2),
    "a post without content": ([user(), without(post(), "content")], 2),
    "an unknown ref": ([*GOOD, vote(), vote(ref="2")], 4),
    "an unknown voter": ([*GOOD, vote("bob@example.com")], 3),
    "a vote of 0": ([*GOOD, vote(value=0)], 3),
    "a vote of 2": ([*GOOD, vote(value=2)], 3),
    "a vote of true": ([*GOOD, vote(value=True)], 3),
    "a user after a post": ([*GOOD, user("b@example.com")], 3),
    "a post after a vote": ([*GOOD, vote(), post("2")], 4),
    "a user after a vote": ([*GOOD, vote(), user("b@example.com")], 4),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_line(database_url, steps, case):
    """Each kind of broken line stops the import in one line with its number, and the database stays as it was."""
    bob = steps.person("someone@example.com")
    steps.vote(bob, steps.post(bob, tags=["there"])["id"], 1)
    before = exported(database_url)
    records, number = BROKEN[case]
    assert one_line(taken(database_url, records, "--append")).startswith(f"line {number}: ")
    assert exported(database_url) == before
    with opened(database_url) as database, database.read() as connection:
        assert connection.execute(sa.text("SELECT name FROM tags")).scalars().all() == ["there"]


def test_a_second_vote_is_found(empty_url):
    """A vote that comes twice is refused with the line of the second one."""
    records = [user(), user("b@example.com"), post(), vote(), vote("b@example.com"), vote("ADA@example.com")]
    assert one_line(taken(empty_url, records)).startswith("line 6: ")
    assert exported(empty_url) == b""


@pytest.mark.parametrize("damage", ["not gzip", "cut short", "garbled", "wrong checksum"])
def test_damaged_gzip(empty_url, folder, damage):
    """A damaged gzip file is refused in one line, and nothing of it is kept."""
    whole = gzip.compress(as_lines([user(f"u{n}@example.com") for n in range(BATCH + 1000)]))
    damaged = {
        "not gzip": as_lines([user()]),
        "cut short": whole[:-1000],
        "garbled": whole[:10] + b"\xff" + whole[11:],
        "wrong checksum": whole[:-8] + bytes(byte ^ 0xFF for byte in whole[-8:-4]) + whole[-4:],
    }[damage]
    (folder / "in.jsonl.gz").write_bytes(damaged)
    line = one_line(tandem("import", "in.jsonl.gz", DATABASE_URL=empty_url))
    assert line.startswith("line ")
    assert "the file is damaged" in line
    assert exported(empty_url) == b""


def many():
    """More than a batch of each type, and what one refers to in another batch."""
    count = BATCH + 10
    emails = [f"u{n}@example.com" for n in range(count)]
    return [
        *(user(email) for email in emails),
        *(post(str(n + 1), emails[-n], tags=[f"t{n % 7}", f"s{n % 3}"]) for n in range(count)),
        *(vote(emails[n], str(n + 1), -1 if n % 2 else 1, created_at=TIME) for n in range(count)),
    ]


def test_several_batches(empty_url):
    """A dump of more than one batch of each type goes in and comes out whole, its counters right."""
    records = many()
    done = taken(empty_url, records)
    assert (done.code, done.out) == (0, "imported 5010 users, 5010 posts, 5010 votes\n")
    assert exported(empty_url) == as_lines(records)
    assert counters_equal_rows(empty_url) == [(n % 2 == 0, n % 2) for n in range(5010)]


def test_broken_lines_behind_the_first_batch(empty_url):
    """What is wrong in a later batch is found with its line, and the earlier batches are undone."""
    size = BATCH + 10
    records = many()
    for at, record, reason in (
        (size - 1, user("U0@example.com"), "a second time"),
        (2 * size - 1, post("1", "u1@example.com"), "this ref came before"),
        (3 * size - 1, vote("u1@example.com", "no such ref"), "no post with this ref"),
        (3 * size - 1, b"{", "Invalid JSON"),
    ):
        line = one_line(taken(empty_url, [*records[:at], record, *records[at + 1 :]]))
        assert line.startswith(f"line {at + 1}: ")
        assert reason in line
        assert exported(empty_url) == b""
