"""`tandem clients`: the register of API clients, from the command line."""

from datetime import UTC, datetime

import pytest

from app.adoption import ledger
from app.versioning.usage import Client, Counts, Use
from tests.steps import PASSWORD
from tests.test_cli import one_line, tandem
from tests.test_migrations import new_database, opened


@pytest.fixture
def there(database_url, tmp_path, scratch):  # noqa: ARG001 - sets nothing
    """The environment that leads to a database of one's own, with an account in it."""
    with new_database(database_url, tmp_path) as url:
        there = {"DATABASE_URL": url, "DATABASE_CONNECT_WAIT": "0"}
        assert tandem("users", "create", "ada@example.com", TANDEM_PASSWORD=PASSWORD, **there).code == 0
        yield there


def register(there, client_id="billing", *options):
    given = ("--name", "Billing", "--contact", "billing@example.com", *options)
    return tandem("clients", "register", client_id, *given, **there)


def shown(there, client_id="billing"):
    """What `show` says, by label, up to its table."""
    lines = tandem("clients", "show", client_id, **there).out.partition("\n\n")[0].splitlines()
    return {line[:12].strip(): line[12:] for line in lines}


def test_registering_and_showing(there):
    """A client is shown with all that was given; its id is given once, its owner exists."""
    assert (
        register(there, "billing", "--pinned", "v1", "--owner", "ADA@example.com").out == "client billing registered\n"
    )
    found = shown(there)
    assert {label: found[label] for label in ("id", "name", "contact", "owner", "pinned", "activity", "last seen")} == {
        "id": "billing",
        "name": "Billing",
        "contact": "billing@example.com",
        "owner": "ada@example.com",
        "pinned": "v1",
        "activity": "unseen",
        "last seen": "-",
    }
    assert one_line(register(there)) == "A client with this id is registered"
    assert one_line(register(there, "other", "--owner", "bob@example.com")) == "No such user"
    assert one_line(tandem("clients", "show", "other", **there)) == "No such client"


def test_changing(there):
    """What is given is changed, what is not stays, and a pin and an owner can be taken away."""
    register(there, "billing", "--pinned", "v1", "--owner", "ada@example.com")
    before = shown(there)
    assert (
        tandem("clients", "change", "billing", "--name", "B", "--pinned", "v2", **there).out
        == "client billing changed\n"
    )
    assert shown(there) == {**before, "name": "B", "pinned": "v2"}
    assert tandem("clients", "change", "billing", "--not-pinned", "--no-owner", **there).code == 0
    assert shown(there) == {**before, "name": "B", "pinned": "-", "owner": "-"}
    assert tandem("clients", "change", "billing", "--owner", "ada@example.com", **there).code == 0
    assert shown(there)["owner"] == "ada@example.com"
    assert one_line(tandem("clients", "change", "other", "--name", "B", **there)) == "No such client"


def test_opting_out_of_brownouts(there):
    """`opt-out` leaves a client out of brownouts, `--off` puts it back in."""
    register(there)
    assert tandem("clients", "opt-out", "billing", **there).out == "brownouts leave out client billing\n"
    assert shown(there)["brownouts"] == "left out"
    assert tandem("clients", "opt-out", "billing", "--off", **there).out == "brownouts hit client billing\n"
    assert shown(there)["brownouts"] == "-"
    assert one_line(tandem("clients", "opt-out", "other", **there)) == "No such client"


def test_listing_and_removing(there):
    """The list tells of each client when it was last seen, its calls, its activity and its drift."""
    register(there, "billing", "--pinned", "v1")
    register(there, "quiet-one")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    uses = {Use(hour, version, "GET /posts", Client("billing", "token"), 2): 4 for version in ("v1", "v2")}
    with opened(there["DATABASE_URL"]) as database, database.write() as connection:
        ledger.store(connection, Counts(uses, {}))
    heading, *lines = [line.split() for line in tandem("clients", "list", **there).out.splitlines()]
    assert heading[:3] == ["client", "name", "pinned"]
    seen = hour.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert lines == [
        ["billing", "Billing", "v1", seen, "8", "active", "calls", "v2", "-"],
        ["quiet-one", "Billing", "-", "-", "0", "unseen", "-", "-"],
    ]
    table = [line.split()[:5] for line in tandem("clients", "show", "billing", **there).out.splitlines()[-2:]]
    assert table == [["v1", "GET", "/posts", "4", "0"], ["v2", "GET", "/posts", "4", "0"]]
    assert tandem("clients", "remove", "billing", **there).out == "client billing removed\n"
    assert one_line(tandem("clients", "remove", "billing", **there)) == "No such client"
    assert "billing" not in tandem("clients", "list", **there).out
