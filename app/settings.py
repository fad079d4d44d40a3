"""What can be set, where it may come from, and what is refused at start.

Sources in order of precedence: keyword arguments, environment variables, the file `.env` in the working
directory, the defaults below. Every field is documented in `.env.example` and the README; a test says so.
"""

import json
import os
import secrets
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from app.db import masked
from app.versioning.quotas import Policy

MINIMUM_SECRET_BYTES = 32
CommaSeparated = Annotated[tuple[str, ...], NoDecode]


class SettingsError(Exception):
    """A setting that Tandem refuses to start with; the message is one line and says what to do."""


class VersionDates(BaseModel):
    """The dates of a version that a deployment may set; what is not given stays as declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    deprecated: AwareDatetime | None = None
    sunset: AwareDatetime | None = None

    @field_validator("deprecated", "sunset")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        try:
            return value if value is None else value.astimezone(UTC)
        except OverflowError:
            raise ValueError("is no moment that can be told in UTC") from None


class Settings(BaseSettings):
    """One immutable value, built once by `load_settings` and passed down."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    environment: Literal["development", "production"] = Field(
        "development", description="production insists on a SECRET_KEY and logs JSON"
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="signs tokens and cursors, at least 32 bytes; in development made once, kept beside the database",
    )
    secret_key_fallbacks: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="keys whose tokens and cursors are taken as well, comma separated: for changing SECRET_KEY"
    )
    access_token_expire_minutes: int = Field(30, ge=1, le=1440, description="lifetime of an access token, minutes")
    refresh_token_expire_days: int = Field(30, ge=1, le=365, description="lifetime of a refresh token, days")
    bcrypt_rounds: int = Field(12, ge=4, le=16, description="cost of a password hash, log2 of the rounds")
    password_hash_workers: int = Field(2, ge=1, le=64, description="passwords hashed at once, per worker")
    login_failures_allowed: int = Field(
        10, ge=1, le=1_000_000, description="wrong passwords of one account, known or not, until its logins are locked"
    )
    login_lock_seconds: int = Field(60, ge=1, le=86400, description="how long they stay locked, seconds")

    database_url: str = Field(
        "sqlite:///data/tandem.db", description="SQLite file, or postgresql://user:password@host:5432/name"
    )
    database_pool_size: int = Field(10, ge=1, le=200, description="connections, and threads that use them, per worker")
    database_pool_timeout: float = Field(
        7, gt=0, le=60, description="longest wait of a request for its turn: a free thread and connection, seconds"
    )
    database_statement_timeout: float = Field(
        5, gt=0, le=600, description="longest run of one request's statement, seconds"
    )
    database_lock_timeout: float = Field(
        3, gt=0, le=600, description="longest wait of a request for a row, or for SQLite's write lock, seconds"
    )
    database_connect_wait: float = Field(
        30, ge=0, le=600, description="how long to wait at start for a database that is not up yet, seconds"
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    workers: int = Field(1, ge=1, le=64, description="server processes")
    shutdown_grace_seconds: int = Field(
        15, ge=1, le=600, description="how long requests in flight may finish after SIGTERM, seconds"
    )
    rate_limit_enabled: bool = Field(True, description="count requests, and refuse callers who send too many")
    rate_limit_account: str = Field("30000/minute", description="how many requests an account may send")
    rate_limit_client: str = Field(
        "120000/minute", description="how many requests a registered client may send, with the tokens of all accounts"
    )
    rate_limit_address: str = Field("30000/minute", description="how many requests without a token an address may send")
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="redis://host:6379/0, where all workers count requests together; without it each for itself",
    )
    trusted_proxies: CommaSeparated = Field(
        (), description="addresses and networks whose X-Forwarded-For and -Proto are believed, comma separated"
    )
    request_deadline_seconds: float = Field(
        9, gt=0, le=600, description="how long a request may be without a reply, seconds; then 503"
    )
    max_body_bytes: int = Field(1024 * 1024, ge=1024, description="largest request body, bytes; beyond it 413")
    max_header_bytes: int = Field(
        65536, ge=4096, le=1048576, description="largest head of a request, bytes; beyond it 431, or 414"
    )
    client_timeout: float = Field(
        20,
        ge=0.5,
        le=600,
        description="longest a client may take to send a request, or take nothing of a reply, seconds",
    )
    allowed_hosts: CommaSeparated = Field(
        ("*",), description="Host headers answered, comma separated; * is any, *.example.com a domain's hosts"
    )
    cors_origins: CommaSeparated = Field((), description="browser origins that may call, comma separated")
    cors_allow_credentials: bool = Field(False, description="let browsers send credentials; refused with origin *")
    docs_enabled: bool = Field(True, description="serve the portal, the docs pages and the OpenAPI documents")

    lifecycle: Annotated[dict[str, VersionDates], NoDecode] = Field(
        {}, description='other dates than the code declares, as JSON: {"v1": {"sunset": "2028-11-20T00:00:00Z"}}'
    )
    lifecycle_refresh_seconds: float = Field(
        2, ge=0.1, le=4, description="how soon every worker knows of a brownout that was planned or stopped, seconds"
    )
    usage_flush_seconds: float = Field(
        10,
        ge=0.1,
        le=3600,
        description="how often a worker writes what it counted, and loses at most when killed, seconds",
    )
    usage_stop_seconds: float = Field(
        1.5, ge=0, le=60, description="how long a worker that stops goes on trying to write what it counted, seconds"
    )
    usage_hourly_days: int = Field(35, ge=1, le=3650, description="how long use is kept by the hour, then by the day")
    usage_days: int = Field(400, ge=1, le=3650, description="how long use is kept at all, days")
    metrics_enabled: bool = Field(True, description="serve /metrics, for Prometheus")

    log_format: Literal["console", "json"] | None = Field(
        None, description="console or json; by default json in production, console in development"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe level logged")

    @field_validator("cors_origins", "allowed_hosts", "trusted_proxies", "secret_key_fallbacks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("secret_key_fallbacks")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(_too_short(key) for key in value):
            raise ValueError(f"has a key shorter than {MINIMUM_SECRET_BYTES} bytes; a comma ends a key")
        return value

    @field_validator("lifecycle", mode="before")
    @classmethod
    def _read_json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value or "{}")
        except ValueError:
            raise ValueError('must be JSON, such as {"v1": {"sunset": "2028-11-20T00:00:00Z"}}') from None

    @field_validator("allowed_hosts")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(host.lower() for host in value)

    @field_validator("rate_limit_account", "rate_limit_client", "rate_limit_address")
    @classmethod
    def _rate_limit(cls, value: str) -> str:
        Policy.parse("", value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            from app.versioning.redis_counters import redis_client  # noqa: PLC0415 - only where it is used

            redis_client(value.get_secret_value())
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            try:
                ip_network(entry)
            except ValueError:
                # Also *: whoever reaches the port could then call from any address they like.
                raise ValueError("must be addresses or networks, such as 10.0.0.5,192.168.0.0/16") from None
        return value

    @field_validator("log_format", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        """SQLAlchemy 2.1 reads `postgresql://` as psycopg 3, and not `postgres://` at all: name the driver."""
        for prefix in ("postgres://", "postgresql://"):
            value = value.replace(prefix, "postgresql+psycopg2://", 1) if value.startswith(prefix) else value
        try:
            url = make_url(value)
        except ArgumentError:
            raise ValueError("is not a database URL; try sqlite:///data/tandem.db") from None
        if url.drivername not in ("sqlite", "postgresql+psycopg2"):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError("must name a file: several connections share the database; try sqlite:///data/tandem.db")
        return value

    @model_validator(mode="after")
    def _safe_cors(self) -> "Settings":
        if self.cors_allow_credentials and "*" in self.cors_origins:
            raise ValueError("CORS_ORIGINS=* with CORS_ALLOW_CREDENTIALS=true lets every site act as the user")
        return self

    @model_validator(mode="after")
    def _times_that_fit(self) -> "Settings":
        """What knows why a request takes long must give up, and say so, before the request is given up."""
        for name in ("database_pool_timeout", "database_statement_timeout", "database_lock_timeout"):
            if (seconds := getattr(self, name)) >= self.request_deadline_seconds:
                raise ValueError(
                    f"{name.upper()}={seconds:g} must be less than REQUEST_DEADLINE_SECONDS="
                    f"{self.request_deadline_seconds:g}: shorten the one, or lengthen the other"
                )
        return self

    @property
    def lifecycle_dates(self) -> dict[str, dict[str, datetime | None]]:
        """The dates given for each version."""
        return {name: dates.model_dump(exclude_unset=True) for name, dates in self.lifecycle.items()}

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def logs_json(self) -> bool:
        return (self.log_format or ("json" if self.production else "console")) == "json"

    @property
    def sqlite_path(self) -> Path | None:
        """The file of an embedded database; None for a database server."""
        url = make_url(self.database_url)
        return Path(str(url.database)) if url.drivername == "sqlite" else None

    @property
    def masked_database_url(self) -> str:
        return masked(make_url(self.database_url))


def load_settings(**overrides: Any) -> Settings:
    """Settings from all sources, with a SECRET_KEY in any case. Raises SettingsError: one line a person can act on."""
    try:
        settings = Settings(**overrides)
    except UnicodeDecodeError:
        raise SettingsError(".env is not UTF-8 text") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {message}" if name else message) from None
    if not settings.secret_key.get_secret_value():
        if settings.production:
            raise SettingsError("SECRET_KEY is not set; production needs one, try: openssl rand -hex 32")
        settings = settings.model_copy(update={"secret_key": SecretStr(_development_key(settings))})
    if _too_short(settings.secret_key):
        where = "SECRET_KEY" if _configured("SECRET_KEY") else f"the key in {development_key_file(settings)}"
        raise SettingsError(f"{where} is shorter than {MINIMUM_SECRET_BYTES} bytes; try: openssl rand -hex 32")
    return settings


def _too_short(key: SecretStr) -> bool:
    return len(key.get_secret_value().encode()) < MINIMUM_SECRET_BYTES


def _configured(name: str) -> str | None:
    """Where a setting was given a value other than nothing: "environment", ".env", or None."""
    given = {key.upper(): value for key, value in os.environ.items()}
    if given.get(name):
        return "environment"
    in_file = {key.upper(): value for key, value in dotenv_values(str(Settings.model_config.get("env_file"))).items()}
    return ".env" if in_file.get(name) else None


def development_key_file(settings: Settings) -> Path:
    """Where the generated key is kept: beside the embedded database, or in `data/` for a database server."""
    return (settings.sqlite_path.parent if settings.sqlite_path else Path("data")) / "secret_key"


def _development_key(settings: Settings) -> str:
    """The key made at the first start, readable by its owner only."""
    path = development_key_file(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and linked into place: a worker starting at the same moment never reads half a key.
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            draft.touch(mode=0o600, exist_ok=False)
            draft.write_text(secrets.token_hex(32), encoding="ascii")
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise SettingsError(f"SECRET_KEY is not set and {path} cannot be used ({error.strerror})") from None


def describe_settings(settings: Settings) -> list[tuple[str, str, str]]:
    """(name, value, source) of every setting in force; secrets masked."""
    shown = {"database_url": settings.masked_database_url, "log_format": "json" if settings.logs_json else "console"}
    unset = {"secret_key": str(development_key_file(settings))}
    return [
        (
            field.upper(),
            _shown(shown.get(field, getattr(settings, field))),
            _configured(field.upper()) or unset.get(field, "default"),
        )
        for field in Settings.model_fields
    ]


def _shown(value: Any) -> str:
    """A setting's value as a person would write it."""
    match value:
        case SecretStr():
            return "********" if value.get_secret_value() else ""
        case dict():
            return json.dumps({key: inner.model_dump(mode="json", exclude_unset=True) for key, inner in value.items()})
        case tuple():
            return ",".join(_shown(item) for item in value)
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
    return str(value)
