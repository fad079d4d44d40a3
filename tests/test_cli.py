"""The `tandem` command: what it does, what it prints, how it fails."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
import typer
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app import cli
from app.db import schema
from app.main import create_app
from tests.conftest import SECRET, make_settings
from tests.server import free_port
from tests.steps import PASSWORD, Steps
from tests.test_migrations import ROOT, new_database, opened

pytestmark = pytest.mark.usefixtures("scratch")

HEAD = schema.newest()
PREVIOUS = f"{int(str(HEAD)) - 1:04}"
COMMANDS = {
    ("serve",): "Serve every version over HTTP",
    ("import",): "Take in a dump",
    ("export",): "Write users, posts, tags and votes as a dump",
    ("openapi",): "Print the OpenAPI document",
    ("settings",): "Show every setting in force",
    ("db",): "migrations",
    ("db", "upgrade"): "Bring the schema forward",
    ("db", "downgrade"): "Take the schema back",
    ("versions",): "How versions live and end.",
    ("versions", "list"): "Show every version with its dates",
    ("versions", "brownout"): "Switching a version off",
    ("versions", "brownout", "plan"): "Plan a window in which a version answers 410",
    ("versions", "brownout", "list"): "Show every brownout",
    ("versions", "brownout", "cancel"): "End a planned brownout",
    ("versions", "brownout", "stop"): "the kill switch",
    ("versions", "brownout", "resume"): "Let brownouts happen again",
    ("versions", "brownout", "report"): "Say whom a brownout has hit",
    ("versions", "new"): "Begin the next version",
    ("versions", "readiness"): "Show whom the end of a version would hit",
    ("contract",): "What the OpenAPI documents promise",
    ("contract", "diff"): "Compare two OpenAPI",
    ("contract", "check"): "Compare what is served with what was released",
    ("contract", "record"): "Record what is answered to scenarios",
    ("contract", "release"): "Make the document that is served the released one",
    ("contract", "report"): "Write one HTML page",
    ("lifecycle",): "What an API says of its deprecation",
    ("lifecycle", "check"): "Ask once, follow no redirect",
    ("clients",): "The API's registered clients",
    ("clients", "register"): "Register a client",
    ("clients", "list"): "List every client",
    ("clients", "show"): "Show all that is known of a client",
    ("clients", "change"): "Change what is given of a client",
    ("clients", "remove"): "Take a client off the register",
    ("clients", "opt-out"): "Leave a client out of every brownout",
    ("usage",): "Who calls what",
    ("usage", "show"): "Show the calls of each version",
    ("usage", "prune"): "Add up by the day and delete what is old",
    ("db", "current"): "Show the revision",
    ("db", "check"): "Exit with 1",
    ("users",): "Accounts",
    ("users", "create"): "Make an account",
    ("users", "promote"): "administrator",
    ("users", "set-password"): "Set an account's password",
}


class Result(NamedTuple):
    code: int
    out: str
    err: str


def tandem(*arguments, **environment):
    """What `tandem …` does, through its own entry point, in this process: quicker by the second that starting takes."""
    out, err = StringIO(), StringIO()
    code: Any = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["tandem", *map(str, arguments)])
        for name, value in {"SECRET_KEY": SECRET, "BCRYPT_ROUNDS": "4", **environment}.items():
            patch.setenv(name, str(value))
        try:
            cli.run()
        except SystemExit as end:
            code = end.code or 0
    return Result(code, out.getvalue(), err.getvalue())


def own_process(*arguments, **environment):
    """What `subprocess` is told to run `tandem …` in a process of its own."""
    return {
        "args": [sys.executable, "-m", "app", *map(str, arguments)],
        "env": {**os.environ, "PYTHONPATH": str(ROOT), "SECRET_KEY": SECRET, "BCRYPT_ROUNDS": "4", **environment},
        "text": True,
    }


def tandem_process(*arguments, **environment):
    """As `tandem`, in a process of its own."""
    done = subprocess.run(**own_process(*arguments, **environment), capture_output=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def one_line(result):
    """The line a command failed with: the whole of standard error."""
    assert result.code == 1, result
    assert result.err.startswith("tandem: "), result.err
    assert result.err.count("\n") == 1, result.err
    return result.err.removeprefix("tandem: ").rstrip("\n")


@pytest.fixture
def there(database_url, tmp_path):
    """The environment that leads to an empty, migrated database of one's own."""
    with new_database(database_url, tmp_path) as url:
        yield {"DATABASE_URL": url, "DATABASE_CONNECT_WAIT": "0"}


@pytest.fixture
def no_database():
    return {"DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/name", "DATABASE_CONNECT_WAIT": "0"}


def test_in_processes_of_its_own(scratch):
    """As a person runs it: output and errors go where they belong, and a failure has one line and no traceback."""
    there = {"DATABASE_URL": f"sqlite:///{scratch}/folder/tandem.db"}
    early = tandem_process("users", "create", "ada@example.com", TANDEM_PASSWORD=PASSWORD, **there)
    assert one_line(early) == f"there is no database {there['DATABASE_URL']} yet; run: tandem db upgrade"
    assert early.out == ""
    assert not (scratch / "folder").exists()  # who only looks makes nothing
    assert tandem_process("db", "upgrade", **there) == (0, f"at {HEAD} (newest)\n", "")
    made = tandem_process("users", "create", "ada@example.com", TANDEM_PASSWORD=PASSWORD, **there)
    assert made == (0, "user 1 made\n", "")


def test_it_tells_its_version():
    """`tandem --version` is the version of the distribution, which the documents of the API do not tell."""
    assert tandem("--version") == (0, f"tandem {version('tandem')}\n", "")


def test_without_a_command_it_shows_its_help():
    """`tandem` alone lists the commands and counts as wrong usage, in a process as in here."""
    shown = tandem_process()
    assert (shown.code, shown.err) == (2, "") or (shown.code, shown.out) == (2, "")
    text = shown.out + shown.err
    assert all(re.search(rf"\b{command[0]}\b", text) for command in COMMANDS)
    assert "tandem db upgrade && tandem serve" in " ".join(text.split())


def test_the_list_of_commands_is_complete():
    """What these tests call every command is every command."""

    def below(group, path=()):
        for name in group.list_commands(None):
            command = group.get_command(None, name)
            yield (*path, name)
            if hasattr(command, "commands"):
                yield from below(command, (*path, name))

    assert set(below(typer.main.get_command(cli.app))) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(scratch, command):
    """Every command explains itself, and asks for nothing to do so."""
    shown = tandem(*command, "--help", DATABASE_URL="nonsense")
    assert shown.code == 0
    assert shown.err == ""
    assert re.search(rf"^ *Usage: .*tandem {' '.join(command)} ", shown.out, re.MULTILINE)
    assert COMMANDS[command] in shown.out
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("db", "fly"),
        ("serve", "--fly"),
        ("serve", "--port", "http"),
        ("import",),
        ("export", "a", "b"),
        ("db", "downgrade"),
        ("openapi",),
        ("openapi", "v99"),
        ("users", "promote"),
        ("users", "create", "no e-mail"),
        ("clients", "register", "billing"),
        ("clients", "register", "No Id", "--name", "n", "--contact", "c"),
        ("clients", "register", "billing", "--name", "", "--contact", "c"),
        ("clients", "register", "billing", "--name", "n", "--contact", "c" * 201),
        ("clients", "register", "billing", "--name", "n", "--contact", "c", "--pinned", "v99"),
        ("clients", "change", "billing", "--pinned", "v1", "--not-pinned"),
        ("clients", "change", "billing", "--owner", "a@b.example", "--no-owner"),
        ("usage", "--days", "0"),
        ("usage", "--by", "hour"),
        ("usage", "show", "v1", "v2"),
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments):
    """What cannot be meant exits with 2 and one line on standard error, which names the help to look at."""
    result = tandem(*arguments, TANDEM_PASSWORD=PASSWORD)
    assert (result.code, result.out) == (2, "")
    command = "" if arguments == ("fly",) else f"{arguments[0]} "
    assert re.fullmatch(rf"tandem: .+ \(see: tandem {command}(\w+ )?--help\)\n", result.err)
    assert "Value error" not in result.err  # pydantic's words, not ours


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve",),
        ("serve", "--workers", "2"),
        ("db", "upgrade"),
        ("db", "downgrade", "base"),
        ("db", "current"),
        ("db", "check"),
        ("import", __file__),
        ("export", "a.jsonl"),
        ("users", "create", "a@b.example"),
        ("users", "promote", "a@b.example"),
        ("users", "set-password", "a@b.example"),
        ("versions", "brownout", "list"),
        ("versions", "brownout", "report", "1"),
        ("versions", "brownout", "cancel", "1"),
        ("versions", "brownout", "stop"),
        ("versions", "brownout", "resume"),
        ("clients", "register", "billing", "--name", "n", "--contact", "c"),
        ("clients", "list"),
        ("clients", "show", "billing"),
        ("clients", "change", "billing"),
        ("clients", "remove", "billing"),
        ("clients", "opt-out", "billing"),
        ("usage",),
        ("usage", "v1"),
        ("usage", "prune"),
    ],
    ids=" ".join,
)
def test_no_database(no_database, scratch, arguments):
    """Where no database answers, every command that needs one says so in one line that hides the password."""
    line = one_line(tandem(*arguments, TANDEM_PASSWORD=PASSWORD, **no_database))
    assert line.startswith("the database postgresql+psycopg2://u:***@127.0.0.1:1/name does not answer: ")
    assert not list(scratch.iterdir())


def test_waiting_for_the_database(no_database):
    """With time to wait, each attempt is told in a line before the failure."""
    result = tandem("db", "current", **{**no_database, "DATABASE_CONNECT_WAIT": "0.01"})
    first, last = result.err.splitlines()
    assert first.startswith("waiting for the database postgresql+psycopg2://u:***@127.0.0.1:1/name, ")
    assert last.startswith("tandem: the database")
    assert result.code == 1


@pytest.mark.parametrize(
    "arguments", [("serve",), ("db", "upgrade"), ("export", "a"), ("openapi", "v1"), ("settings",)], ids=" ".join
)
def test_refused_settings(arguments):
    """A refused setting is one line from every command."""
    assert one_line(tandem(*arguments, PORT="many")).startswith("PORT: ")


def test_a_file_that_is_no_database(scratch):
    """A file of something else in the database's place is one line."""
    (scratch / "tandem.db").write_text("something else\n" * 1000)
    line = one_line(tandem("db", "current", DATABASE_URL=f"sqlite:///{scratch}/tandem.db"))
    assert line == "the database refused: file is not a database"


def test_db_commands(database_url, tmp_path):
    """`current` and `check` tell the state, `upgrade` may be repeated, `downgrade` goes back."""
    with new_database(database_url, tmp_path, migrated=False) as url:
        there = {"DATABASE_URL": url}
        at_first = tandem("db", "current", **there)
        if url.startswith("sqlite"):
            assert one_line(at_first) == f"there is no database {url} yet; run: tandem db upgrade"
        else:
            assert at_first == (0, f"at nothing, newest is {HEAD}\n", "")
        assert one_line(tandem("export", "a.jsonl", **there)).endswith("run: tandem db upgrade")
        assert tandem("db", "upgrade", **there) == (0, f"at {HEAD} (newest)\n", "")
        assert tandem("db", "upgrade", **there) == (0, f"at {HEAD} (newest)\n", "")
        assert tandem("db", "check", **there) == (0, "the database has the tables that the code describes\n", "")
        assert one_line(tandem("db", "upgrade", "fly", **there)) == "Can't locate revision identified by 'fly'"
        assert tandem("db", "downgrade", "base", **there) == (0, f"at nothing, newest is {HEAD}\n", "")
        assert tandem("db", "check", **there).code == 1


def test_db_check_fails_on_drift(there):
    """`check` exits with 1 and one line when the tables are not those of the code."""
    engine = sa.create_engine(make_settings(there["DATABASE_URL"]).database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE users ADD COLUMN shoe_size INTEGER"))
    assert "shoe_size" in one_line(tandem("db", "check", **there))


def test_a_database_of_a_later_release(there):
    """It is said to be one, and nobody is sent to migrate it: this release has no file to go there or back from."""
    with opened(there["DATABASE_URL"]) as database, database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    for command in (("db", "upgrade"), ("db", "downgrade", "-1"), ("db", "check"), ("export", "a.jsonl")):
        told = one_line(tandem(*command, **there))
        assert told == f"the database is at migration 9999, of a later release; this one ends with {HEAD}"


def test_interrupted_while_it_is_imported():
    """Ctrl-C in the first second is no error of the program's: no traceback, and the exit code of an interrupt."""
    program = """
import signal, sys
class Interrupting:
    def find_spec(name, *_):
        if name == "app.cli":
            signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.meta_path.insert(0, Interrupting)
from app.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_db_by_steps(there):
    """`downgrade` and `upgrade` take relative revisions."""
    assert tandem("db", "downgrade", "-1", **there) == (0, f"at {PREVIOUS}, newest is {HEAD}\n", "")
    assert tandem("db", "upgrade", "+1", **there) == (0, f"at {HEAD} (newest)\n", "")


def test_users_create(there):
    """An account made here logs in through both versions, shows its name, and cannot be made twice in any case."""
    made = tandem("users", "create", "Ada@Example.com", "--display-name", "Ada", TANDEM_PASSWORD=PASSWORD, **there)
    assert made == (0, "user 1 made\n", "")
    again = tandem("users", "create", "ada@EXAMPLE.com", TANDEM_PASSWORD=PASSWORD, **there)
    assert one_line(again) == "An account with this e-mail already exists"
    with TestClient(create_app(make_settings(there["DATABASE_URL"]))) as client:
        headers = Steps(client).log_in("ada@example.com")
        account = client.get("/v2/users/me", headers=headers).json()
        assert (account["email"], account["display_name"]) == ("Ada@Example.com", "Ada")
        form = {"username": "ada@example.com", "password": PASSWORD}
        assert client.post("/v1/login", data=form).status_code == 200


@pytest.mark.parametrize("password", ["", "7 chars", "x" * 1025])
@pytest.mark.parametrize("command", ["create", "set-password"])
def test_passwords_refused(there, command, password):
    """A password of fewer than 8 or more than 1,024 characters is refused, and not repeated."""
    result = tandem("users", command, "ada@example.com", "--password", password, **there)
    assert result.code == 2
    assert "8 to 1024 characters" in result.err
    assert not password or password not in result.err


@pytest.mark.parametrize("name", ["", "x" * 101, "a\x00b"], ids=["empty", "long", "NUL"])
def test_display_names_refused(there, name):
    """A name that the API would refuse, and an import as well, is wrong usage here."""
    done = tandem("users", "create", "ada@example.com", "--display-name", name, TANDEM_PASSWORD=PASSWORD, **there)
    assert done.code == 2
    assert "--display-name" in done.err


def test_password_prompt(there):
    """Without TANDEM_PASSWORD the password is asked for twice, not shown, and asked again when the two differ.

    Where nobody answers, the last line says how else to give it.
    """
    command = own_process("users", "create", "ada@example.com", **there)
    nobody = subprocess.run(**command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert nobody.returncode == 1
    assert nobody.stderr.endswith("tandem: no password was given; where nobody can type one, set TANDEM_PASSWORD\n")
    typed = f"{PASSWORD}\nanother one\n{PASSWORD}\n{PASSWORD}\n"
    environment = {**there, "SECRET_KEY": SECRET, "BCRYPT_ROUNDS": "4"}
    result = CliRunner().invoke(cli.app, ["users", "create", "ada@example.com"], input=typed, env=environment)
    assert result.exit_code == 0, result.output
    assert result.output.count("Password") == 2
    assert PASSWORD not in result.output
    with TestClient(create_app(make_settings(there["DATABASE_URL"]))) as client:
        assert Steps(client).log_in("ada@example.com")


def test_users_promote(there):
    """`promote` and `--admin` make administrators, who log in as before; an unknown e-mail is one line."""
    assert tandem("users", "create", "ada@example.com", TANDEM_PASSWORD=PASSWORD, **there).code == 0
    assert tandem("users", "create", "bob@example.com", TANDEM_PASSWORD=PASSWORD, **there).code == 0
    assert tandem("users", "create", "cyd@example.com", "--admin", TANDEM_PASSWORD=PASSWORD, **there).code == 0
    assert tandem("users", "promote", "ADA@example.com", **there) == (0, "promoted\n", "")
    assert one_line(tandem("users", "promote", "dan@example.com", **there)) == "No such user"
    app = create_app(make_settings(there["DATABASE_URL"]))
    with TestClient(app) as client:
        with app.state.services.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT email, is_admin FROM users ORDER BY email").all()
        assert [(email, bool(admin)) for email, admin in rows] == [
            ("ada@example.com", True),
            ("bob@example.com", False),
            ("cyd@example.com", True),
        ]
        assert Steps(client).log_in("ada@example.com")


def test_users_set_password(there):
    """A new password counts at once, the old one no more, and every session of that account alone has ended."""
    with TestClient(create_app(make_settings(there["DATABASE_URL"]))) as client:
        steps = Steps(client)
        ada, bob = steps.person("ada@example.com"), steps.person("bob@example.com")
        refresh = steps.tokens(ada.email)["refresh_token"]
        done = tandem("users", "set-password", "ADA@example.com", TANDEM_PASSWORD="battery staple", **there)
        assert done == (0, "password set; every session of the account has ended\n", "")
        assert client.get("/v2/users/me", headers=ada.headers).status_code == 401
        assert client.get("/v1/posts", headers=ada.headers).status_code == 401
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        assert client.post("/v2/auth/token", data=form).status_code == 400
        assert client.get("/v2/users/me", headers=bob.headers).status_code == 200
        form = {"username": ada.email, "password": PASSWORD}
        assert client.post("/v1/login", data=form).status_code == 403
        assert steps.log_in(ada.email, "battery staple")
    unknown = tandem("users", "set-password", "cyd@example.com", TANDEM_PASSWORD=PASSWORD, **there)
    assert one_line(unknown) == "No such user"


def test_an_imported_person_logs_in_once_a_password_is_set(there, scratch):
    """Imported people cannot log in, with no password at all, until `set-password` gives them one."""
    record = {"type": "user", "email": "ada@example.com", "display_name": None, "created_at": "2026-01-01T00:00:00Z"}
    (scratch / "dump.jsonl").write_text(json.dumps(record) + "\n")
    done = tandem("import", "dump.jsonl", **there)
    assert (done.code, done.out) == (0, "imported 1 users, 0 posts, 0 votes\n")
    with TestClient(create_app(make_settings(there["DATABASE_URL"]))) as client:
        for password in (PASSWORD, "None", " "):
            form = {"username": "ada@example.com", "password": password}
            assert client.post("/v1/login", data=form).status_code == 403
        tandem("users", "set-password", "ada@example.com", TANDEM_PASSWORD=PASSWORD, **there)
        assert Steps(client).log_in("ada@example.com")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_openapi(scratch, version):
    """The document printed is the one served, without a database and also when the docs are off."""
    printed = tandem("openapi", version, DOCS_ENABLED="false", DATABASE_URL="postgresql://127.0.0.1:1/name")
    assert (printed.code, printed.err) == (0, "")
    with TestClient(create_app(make_settings(f"sqlite:///{scratch}/t.db"))) as client:
        assert json.loads(printed.out) == client.get(f"/{version}/openapi.json").json()


def test_settings(scratch):
    """Every setting is shown with its value and source, the secret and the database's password never."""
    keys = ["first old key " * 3, "second old key " * 3]
    (scratch / ".env").write_text(
        f"SECRET_KEY_FALLBACKS={','.join(keys)}\nWORKERS=3\nCORS_ORIGINS=https://a.example, https://b.example\n"
    )
    url = "postgresql://u:hush@h/name"
    shown = tandem("settings", DATABASE_URL=url, COLUMNS="200")
    assert (shown.code, shown.err) == (0, "")
    rows = [re.split(r"\s{2,}", line.strip()) for line in shown.out.splitlines()]
    found = {row[0]: row[1:] for row in rows}
    assert found["PORT"] == ["8000", "default"]
    assert found["WORKERS"] == ["3", ".env"]
    assert found["CORS_ORIGINS"] == ["https://a.example,https://b.example", ".env"]
    assert found["SECRET_KEY"] == ["********", "environment"]
    assert found["SECRET_KEY_FALLBACKS"] == ["********,********", ".env"]
    assert "old key" not in shown.out
    assert found["DATABASE_URL"] == ["postgresql+psycopg2://u:***@h/name", "environment"]
    assert set(found) == {"setting", *(field.upper() for field in type(make_settings(url)).model_fields)}
    assert SECRET not in shown.out
    assert "hush" not in shown.out


def test_settings_names_the_file_of_a_generated_key(scratch, monkeypatch):
    """Where the key was generated, the source is the file that keeps it."""
    monkeypatch.delenv("SECRET_KEY", raising=False)
    shown = CliRunner().invoke(cli.app, ["settings"])
    assert re.search(r"^SECRET_KEY +\*{8} +data/secret_key *$", shown.output, re.MULTILINE)
    assert (scratch / "data" / "secret_key").read_text() not in shown.output


def test_serve_refuses_an_empty_database(scratch):
    """A database without tables is said to be so at start, instead of at each request."""
    (scratch / "tandem.db").touch()
    failed = tandem_process("serve", "--port", "0", DATABASE_URL=f"sqlite:///{scratch}/tandem.db")
    assert one_line(failed) == "the database has no tables yet; run: tandem db upgrade"


def test_serve_refuses_a_taken_port(scratch):
    """A port that somebody listens on is one line, whatever the number of workers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = one_line(tandem("serve", "--port", port, "--workers", 2, DATABASE_URL=f"sqlite:///{scratch}/t.db"))
    assert line == f"cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize("option", [("--port", "65536"), ("--workers", "0")], ids=" ".join)
def test_serve_options_are_settings(option):
    """What the command line gives is checked as the setting it stands for."""
    assert one_line(tandem("serve", *option)).startswith(option[0].removeprefix("--").upper())


def test_serve_greets(live_server):
    """The first lines name where both versions, the docs and a first request are."""
    greeting = live_server.log.read_text().partition("{")[0]
    for path in ("/v1", "/v2", "/v1/docs", "/v2/docs", "/v2/posts"):
        assert f"{live_server.url}{path}" in greeting
    assert "Ctrl-C" in greeting


def test_ctrl_c_while_workers_start(scratch):
    """It reaches all processes of a terminal, and ends them as soon as they have started, without a traceback."""
    url = f"sqlite:///{scratch}/t.db"
    assert tandem("db", "upgrade", DATABASE_URL=url).code == 0
    with subprocess.Popen(
        **own_process("serve", "--port", free_port(), "--workers", 2, DATABASE_URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("Tandem serves")
        time.sleep(0.5)  # the workers are being started
        os.killpg(server.pid, signal.SIGINT)
        try:
            output, _ = server.communicate(timeout=20)
        finally:
            server.kill()
    assert "Traceback" not in output
    assert server.returncode == 0


def test_files_that_cannot_be_read_or_written(there, scratch):
    """A dump that is not there, and a place that cannot be written to, are one line each; nothing is left behind."""
    absent = "No such file or directory\n"  # before there is any progress to show
    assert tandem("import", "absent.jsonl", **there) == (1, "", f"tandem: absent.jsonl: {absent}")
    assert tandem("export", "absent/a.jsonl", **there) == (1, "", f"tandem: absent/a.jsonl.part: {absent}")
    for command, file in (("export", scratch), ("export", "-"), ("import", "-")):
        assert tandem(command, file, **there).code == 2
    assert not Path("-").exists()
    assert all(file.suffix in (".db", ".db-wal", ".db-shm") for file in scratch.iterdir())
