"""The only wiring: settings in, a served application out. Nothing happens at import."""

import gc
import hashlib
import hmac
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version as installed_version
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import TYPE_CHECKING

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from app.adoption.bookkeeper import Bookkeeper
from app.adoption.plan import Watch
from app.api import VERSIONS, unversioned
from app.api.problems import PROBLEM_TYPES, of_database_error, of_domain_error
from app.api.services import Reader, Services, account_of_token, client_of_token
from app.db import Database, schema
from app.domain.accounts import Accounts
from app.domain.errors import DomainError
from app.domain.passwords import PasswordHasher
from app.domain.throttling import Throttle
from app.domain.tokens import AccessTokens
from app.logs import configure_logging
from app.portal import adoption, brownouts, public, signing_in
from app.portal.parts import Portal, make_pages
from app.settings import Settings, load_settings
from app.threads import set_threads
from app.versioning import ApiVersion, Installation, install, registry
from app.versioning.metrics import METRICS_PATH
from app.versioning.quotas import Limits, MemoryCounters, Policy
from app.versioning.registry import with_dates

if TYPE_CHECKING:
    from app.versioning.redis_counters import RedisCounters

_INFO = {
    "servers": [{"url": "/", "description": "The server this document came from."}],
    "contact": {"name": "The Tandem maintainers"},
    "license_info": {"name": "MIT", "identifier": "MIT"},
}


def open_database(settings: Settings) -> Database:
    """The database of these settings; connects to nothing yet."""
    return Database(
        settings.database_url,
        pool_size=settings.database_pool_size,
        # While every request waits, /readyz answers, brownouts are noticed, usage is written and pruned, and guesses
        # are counted.
        spare=4 + settings.password_hash_workers,
        pool_timeout=settings.database_pool_timeout,
        statement_timeout=settings.database_statement_timeout,
        lock_timeout=settings.database_lock_timeout,
    )


def derived(secret: str, purpose: bytes) -> bytes:
    """A key of its own for each purpose, made of the one secret."""
    return hmac.digest(secret.encode(), purpose, hashlib.sha256)


def served_versions(settings: Settings) -> tuple[ApiVersion, ...]:
    """The versions with the dates of this deployment. LifecycleError when they contradict each other."""
    versions = with_dates(VERSIONS, settings.lifecycle_dates)
    registry.check(versions)
    return versions


def redis_counters(settings: Settings, on_change: Callable[[bool], None]) -> "RedisCounters | None":
    """Where all workers count requests together; None where each is to count for itself. Connects to nothing yet."""
    url = settings.redis_url.get_secret_value()
    if not url or not settings.rate_limit_enabled:
        return None
    from app.versioning.redis_counters import RedisCounters  # noqa: PLC0415 - only where it is used

    return RedisCounters(url, on_change)


def limits_of(settings: Settings, shared: "RedisCounters | None") -> Limits | None:
    """The limits of these settings; None when they are switched off."""
    if not settings.rate_limit_enabled:
        return None
    return Limits(
        Policy.parse("account", settings.rate_limit_account),
        Policy.parse("client", settings.rate_limit_client),
        Policy.parse("address", settings.rate_limit_address),
        shared or MemoryCounters(),
    )


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, ready to serve. Without `settings` they are loaded; SettingsError when they are refused."""
    settings = settings or load_settings()
    configure_logging(json=settings.logs_json, level=settings.log_level)
    database = open_database(settings)
    versions = served_versions(settings)
    secret = settings.secret_key.get_secret_value()
    fallbacks = [key.get_secret_value() for key in settings.secret_key_fallbacks]
    hasher = PasswordHasher(
        rounds=settings.bcrypt_rounds, workers=settings.password_hash_workers, begin=database.keep_connections
    )
    throttle = Throttle(settings.login_failures_allowed, timedelta(seconds=settings.login_lock_seconds))
    services = Services(
        database=database,
        accounts=Accounts(database, hasher, throttle),
        reader=Reader(database),
        tokens=AccessTokens(secret, timedelta(minutes=settings.access_token_expire_minutes), fallbacks=fallbacks),
        refresh_lifetime=timedelta(days=settings.refresh_token_expire_days),
        cursor_keys=tuple(derived(key, b"tandem list cursor") for key in (secret, *fallbacks)),
        reply_keys=[derived(key, b"tandem idempotency key") for key in (secret, *fallbacks)],
        versions={version.name: version for version in versions},
    )

    def tell_of_sharing(shared: bool) -> None:
        installed.metrics.limits_shared(shared)

    redis = redis_counters(settings, tell_of_sharing)

    def tell_of_drift(client: str, pinned: str, called: str, calls: int) -> None:
        installed.metrics.drifted(client, pinned, called, calls)

    bookkeeper = Bookkeeper(
        database,
        hourly=timedelta(days=settings.usage_hourly_days),
        kept=timedelta(days=settings.usage_days),
        on_drift=tell_of_drift,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        set_threads(settings.database_pool_size, database.keep_connections)
        if redis is not None:
            await redis.connect()
        async with bookkeeper, watch:
            yield
        if redis is not None:
            await redis.close()
        database.close()

    app = FastAPI(
        title="Tandem",
        version=installed_version("tandem"),
        lifespan=lifespan,
        openapi_url=None,  # each version has a document of its own
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    pages = make_pages(docs_enabled=settings.docs_enabled)
    app.include_router(
        unversioned.build_router(database, pages=pages, problem_types=PROBLEM_TYPES, schema_revision=schema.newest())
    )
    app.include_router(public.policy)
    if settings.docs_enabled:
        for router in (public.overview, signing_in.router, adoption.router, brownouts.router):
            app.include_router(router)
        app.add_exception_handler(signing_in.Refused, signing_in.answer_refused)
    installed = install(
        app,
        Installation(
            versions=versions,
            translate={DomainError: of_domain_error, SQLAlchemyError: of_database_error},
            info=_INFO,
            allowed_hosts=settings.allowed_hosts,
            host_free_paths=("/livez", "/readyz", METRICS_PATH),
            cors_origins=settings.cors_origins,
            cors_allow_credentials=settings.cors_allow_credentials,
            max_body_bytes=settings.max_body_bytes,
            deadline_seconds=settings.request_deadline_seconds,
            turn_seconds=settings.database_pool_timeout,
            limiters=(hasher.limiter,),
            strict_transport=settings.production,
            docs_enabled=settings.docs_enabled,
            pages=pages,
            identify=client_of_token,
            account=account_of_token,
            limits=limits_of(settings, redis),
            store_usage=bookkeeper.store,
            flush_seconds=settings.usage_flush_seconds,
            usage_stop_seconds=settings.usage_stop_seconds,
            metrics_enabled=settings.metrics_enabled,
        ),
    )
    installed.metrics.limits_shared(redis is not None)
    watch = Watch(database, installed.schedule, settings.lifecycle_refresh_seconds)
    app.state.portal = Portal(
        services, versions, installed.schedule, watch, pages, settings.production, settings.docs_enabled
    )
    app.state.installed = installed
    return app


def create_worker() -> FastAPI:
    """`create_app` for a process that does nothing but serve it."""
    app = create_app()
    # What is there now stays. Looking through all of it for garbage, again and again, held up every request; and to
    # look after every 700 objects, as is usual, took 7 % of what each cost.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    supervisor = parent_process()
    if supervisor is not None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # uvicorn, which calls this, is ready for it by now
        Thread(target=_end_with, args=(supervisor,), daemon=True).start()
    return app


def _end_with(supervisor: BaseProcess) -> None:
    """Stop as by SIGTERM once the supervisor is gone: a worker without one would go on, with the port and old keys."""
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)
