"""What can be set, where it comes from, what is refused; and that all of it is documented."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, SettingsError, describe_settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
LONG_KEY = "0123456789abcdef0123456789abcdef"
NAMES = {field.upper() for field in Settings.model_fields}
TAKE_A_KEY = "import sys; from app.settings import load_settings; print('ready', flush=True); sys.stdin.read(1); "
TAKE_A_KEY += "print(load_settings().secret_key.get_secret_value())"


@pytest.fixture(autouse=True)
def _nothing_set(scratch):
    """An empty working directory, and an environment that sets nothing."""


def source_of(name):
    return {row[0]: row[2] for row in describe_settings(load_settings())}[name]


def test_precedence_of_sources(scratch, monkeypatch):
    """A keyword beats the environment, which beats .env, which beats the default."""
    assert load_settings().port == 8000
    assert source_of("PORT") == "default"
    (scratch / ".env").write_text("PORT=8001\nUNKNOWN_NAME=1\n")
    assert load_settings().port == 8001
    assert source_of("PORT") == ".env"
    monkeypatch.setenv("PORT", "8002")
    assert load_settings().port == 8002
    assert source_of("PORT") == "environment"
    assert load_settings(port=8003).port == 8003


def test_env_file_is_utf8_with_quotes_and_comments(scratch):
    """The file .env may hold comments, quoted values and any letters."""
    (scratch / ".env").write_text(f'# a comment\nSECRET_KEY="{"ñ" * 16}"\nLOG_LEVEL=DEBUG # why not\n', "utf-8")
    settings = load_settings()
    assert settings.secret_key.get_secret_value() == "ñ" * 16
    assert settings.log_level == "DEBUG"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://a.example", ("https://a.example",)),
        ("https://a.example,https://b.example", ("https://a.example", "https://b.example")),
        (" https://a.example , ,https://b.example,", ("https://a.example", "https://b.example")),
        ("*", ("*",)),
        ("", ()),
    ],
)
def test_comma_separated_lists(monkeypatch, given, expected):
    """Lists are written with commas; blanks and empty parts do not count."""
    monkeypatch.setenv("CORS_ORIGINS", given)
    monkeypatch.setenv("ALLOWED_HOSTS", given or "*")
    assert load_settings().cors_origins == expected
    assert load_settings().allowed_hosts == (expected or ("*",))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_forms_of_a_postgresql_url(monkeypatch, scheme):
    """Every usual form of a PostgreSQL URL means the one driver, and the rest of the URL stays as it is."""
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://u:postgres%3A%2F%2F@h:5433/name?sslmode=require")
    settings = load_settings()
    assert settings.database_url == "postgresql+psycopg2://u:postgres%3A%2F%2F@h:5433/name?sslmode=require"
    assert settings.sqlite_path is None
    assert "3A" not in settings.masked_database_url
    assert settings.masked_database_url.startswith("postgresql+psycopg2://u:***@h:5433/name")


def test_defaults():
    """Without any setting: development on a SQLite file, reachable from this machine alone, without CORS."""
    settings = load_settings()
    assert (settings.environment, settings.host, settings.port) == ("development", "127.0.0.1", 8000)
    assert settings.sqlite_path == Path("data/tandem.db")
    assert settings.cors_origins == ()
    assert not settings.cors_allow_credentials
    assert settings.bcrypt_rounds == 12


@pytest.mark.parametrize(
    ("environment", "log_format", "expected"),
    [
        ("development", "", False),
        ("production", "", True),
        ("development", "json", True),
        ("production", "console", False),
    ],
)
def test_log_format(monkeypatch, environment, log_format, expected):
    """Production logs JSON and development for people, unless LOG_FORMAT says otherwise; empty says nothing."""
    monkeypatch.setenv("SECRET_KEY", LONG_KEY)
    monkeypatch.setenv("ENVIRONMENT", environment)
    monkeypatch.setenv("LOG_FORMAT", log_format)
    assert load_settings().logs_json is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "staging"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "http"),
        ("WORKERS", "0"),
        ("BCRYPT_ROUNDS", "3"),
        ("BCRYPT_ROUNDS", "17"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "0"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "1441"),
        ("REFRESH_TOKEN_EXPIRE_DAYS", "0"),
        ("PASSWORD_HASH_WORKERS", "0"),
        ("DATABASE_POOL_SIZE", "0"),
        ("DATABASE_POOL_TIMEOUT", "0"),
        ("DATABASE_STATEMENT_TIMEOUT", "0"),
        ("DATABASE_CONNECT_WAIT", "-1"),
        ("REQUEST_DEADLINE_SECONDS", "0"),
        ("SHUTDOWN_GRACE_SECONDS", "0"),
        ("MAX_BODY_BYTES", "1023"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "LOUD"),
        ("DOCS_ENABLED", "perhaps"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "a file"),
        ("DATABASE_URL", "mysql://u:hush@h/name"),
        ("DATABASE_URL", "postgresql+asyncpg://u:hush@h/name"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("SECRET_KEY", "hush" * 7),
        ("SECRET_KEY_FALLBACKS", "hush" * 7),
        ("SECRET_KEY_FALLBACKS", "hush" * 8 + "," + "hush" * 7),
    ],
)
def test_refused_values(monkeypatch, name, value):
    """A value that cannot be meant is refused in one line that names the setting and repeats no secret."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    message = str(refusal.value)
    assert message.startswith(name)
    assert "\n" not in message
    assert "hush" not in message


@pytest.mark.parametrize("name", ["DATABASE_POOL_TIMEOUT", "DATABASE_STATEMENT_TIMEOUT", "DATABASE_LOCK_TIMEOUT"])
def test_time_outs_that_do_not_fit_are_refused(monkeypatch, name):
    """What would outlast the request it is for is refused in one line that names both; a longer deadline mends it."""
    monkeypatch.setenv(name, "9")
    with pytest.raises(SettingsError, match=rf"^{name}=9 must be less than REQUEST_DEADLINE_SECONDS=9: [^\n]+$"):
        load_settings()
    monkeypatch.setenv("REQUEST_DEADLINE_SECONDS", "9.5")
    load_settings()


def test_cors_for_everybody_with_credentials_is_refused(monkeypatch):
    """Origin * together with credentials is refused, each alone is not."""
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example,*")
    assert load_settings().cors_origins == ("https://a.example", "*")
    monkeypatch.setenv("CORS_ALLOW_CREDENTIALS", "true")
    with pytest.raises(SettingsError, match=r"^CORS_ORIGINS=\* with CORS_ALLOW_CREDENTIALS=true"):
        load_settings()
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example")
    assert load_settings().cors_allow_credentials


@pytest.mark.parametrize(("key", "reason"), [(None, "is not set"), ("", "is not set"), (LONG_KEY[1:], "is shorter")])
def test_production_insists_on_a_key(scratch, monkeypatch, key, reason):
    """Production starts neither without a key nor with one of 31 bytes, and makes none of its own."""
    monkeypatch.setenv("ENVIRONMENT", "production")
    if key is not None:
        monkeypatch.setenv("SECRET_KEY", key)
    with pytest.raises(SettingsError, match=f"^SECRET_KEY {reason}"):
        load_settings()
    assert not list(scratch.iterdir())
    monkeypatch.setenv("SECRET_KEY", LONG_KEY)
    assert load_settings().secret_key.get_secret_value() == LONG_KEY


def test_key_length_counts_bytes(monkeypatch):
    """Sixteen letters of two bytes each are long enough."""
    monkeypatch.setenv("SECRET_KEY", "é" * 16)
    assert load_settings().secret_key.get_secret_value() == "é" * 16


def test_development_key_is_made_once(scratch):
    """The key is random, kept beside the SQLite database with mode 0600, and the same at the next start."""
    url = f"sqlite:///{scratch}/some/where/tandem.db"
    first = load_settings(database_url=url).secret_key.get_secret_value()
    assert len(first) == 64
    kept = scratch / "some" / "where" / "secret_key"
    assert [kept] == list(kept.parent.iterdir())
    assert kept.read_text() == first
    assert kept.stat().st_mode & 0o777 == 0o600
    assert load_settings(database_url=url).secret_key.get_secret_value() == first
    elsewhere = load_settings(database_url="postgresql://h/name").secret_key.get_secret_value()
    assert elsewhere == (scratch / "data" / "secret_key").read_text() != first


def test_an_empty_key_counts_as_not_given(scratch):
    """`SECRET_KEY=`, as .env.example has it, leads to the generated key, and the settings say so."""
    (scratch / ".env").write_text("SECRET_KEY=\n")
    assert len(load_settings().secret_key.get_secret_value()) == 64
    assert source_of("SECRET_KEY") == "data/secret_key"


def test_a_damaged_key_file_is_refused(scratch):
    """A generated key that was cut short is as bad as a short one that was given."""
    (scratch / "data").mkdir()
    (scratch / "data" / "secret_key").touch()
    with pytest.raises(SettingsError, match="the key in data/secret_key is shorter than 32 bytes"):
        load_settings()


def test_an_env_file_that_is_not_text_is_refused(scratch):
    """A .env in another encoding is refused in one line."""
    (scratch / ".env").write_bytes(b"PORT=\xff\n")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings()


def test_hosts_are_compared_without_regard_to_case(monkeypatch):
    """Host names are the same in capitals."""
    monkeypatch.setenv("ALLOWED_HOSTS", "API.Example.com")
    assert load_settings().allowed_hosts == ("api.example.com",)


def test_a_password_is_masked_wherever_the_url_holds_it(monkeypatch):
    """A database password is hidden before the host, and as a parameter of the driver."""
    monkeypatch.setenv(
        "DATABASE_URL", "postgresql://u:hush@db.internal.example.com:5432/n?password=hush&sslmode=require"
    )
    shown = load_settings().masked_database_url
    assert "hush" not in shown
    assert "db.internal.example.com:5432/n" in shown


def test_a_given_key_leaves_no_file(scratch, monkeypatch):
    """A SECRET_KEY from outside is used as it is and nothing is written."""
    monkeypatch.setenv("SECRET_KEY", LONG_KEY)
    assert load_settings().secret_key.get_secret_value() == LONG_KEY
    assert not list(scratch.iterdir())


def test_a_key_file_that_cannot_be_made(scratch):
    """Where no key can be kept, one line says which file is in the way."""
    (scratch / "data").write_text("not a folder")
    with pytest.raises(SettingsError, match=r"^SECRET_KEY is not set and data/secret_key cannot be used \([^\n]+\)$"):
        load_settings()


def test_several_processes_agree_on_the_development_key(scratch, monkeypatch):
    """Processes that start at the same moment all use the one key, and leave no other file."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    processes = [
        subprocess.Popen([sys.executable, "-c", TAKE_A_KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("!")
        process.stdin.flush()
    keys = {process.communicate()[0].strip() for process in processes}
    assert keys == {(scratch / "data" / "secret_key").read_text()}
    assert len(keys.pop()) == 64
    assert [file.name for file in (scratch / "data").iterdir()] == ["secret_key"]


def test_settings_are_one_immutable_value(monkeypatch):
    """Settings cannot be changed after start, and show no secret when printed."""
    monkeypatch.setenv("SECRET_KEY", LONG_KEY)
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, "port", 1)  # noqa: B010 - mypy knows that it is read-only
    assert LONG_KEY not in repr(settings)


def test_settings_are_documented_in_env_example():
    """`.env.example` names every setting once and no other, each with its default."""
    file = ROOT / ".env.example"
    named = re.findall(r"^#?[ \t]*([A-Z][A-Z0-9_]*)=", file.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(NAMES)
    assert Settings(_env_file=file) == Settings(_env_file=None)


def test_settings_are_documented_in_the_readme():
    """The README's table of settings names each once, and none that does not exist."""
    text = (ROOT / "README.md").read_text("utf-8")
    cells = re.findall(r"^\| ((?:`[A-Z][A-Z0-9_]*`(?:, )?)+) \|", text, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"[A-Z0-9_]+", cell)]
    assert sorted(named) == sorted(NAMES)
