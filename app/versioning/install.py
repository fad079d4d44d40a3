"""Serving a set of versions from one FastAPI application."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path

from app.versioning import discovery, guide, problems, registry
from app.versioning.brownouts import Schedule
from app.versioning.compression import Compression
from app.versioning.conditional import NotModified
from app.versioning.deadline import Deadline
from app.versioning.docs import ASSETS_PATH, assets, docs_page
from app.versioning.limits import RateLimits
from app.versioning.metrics import Metrics
from app.versioning.middleware import Boundary, RequestContext, version_of
from app.versioning.openapi import build_document, routes_of
from app.versioning.pages import Pages
from app.versioning.problems import Problem
from app.versioning.quotas import Limits
from app.versioning.registry import LifecycleError
from app.versioning.sections import Section, first_segment, served_routes, under
from app.versioning.usage import FLUSH_SECONDS, STOP_SECONDS, Call, Counts, Ledger, operations_of
from app.versioning.version import ApiVersion

# What a browser's script may read beside the body.
_EXPOSED_HEADERS = (
    *("X-Request-ID", "Server-Timing", "Location", "Link", "ETag", "Retry-After", "WWW-Authenticate"),
    *("API-Version", "Deprecation", "Sunset", "Brownout", "Idempotent-Replayed"),
    *("RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
)


@dataclass(frozen=True)
class Installation:
    """What the kernel needs to know of the application it serves.

    `translate` maps exception types to functions that make a `Problem` of one; a function may give None for an
    exception that is a bug after all. `info` goes into every document: `contact`, `license_info`, `servers`, …
    """

    versions: Sequence[ApiVersion]
    translate: Mapping[type[Exception], Callable[[Any], Problem | None]]
    info: Mapping[str, Any]
    allowed_hosts: Sequence[str] = ("*",)
    host_free_paths: Sequence[str] = ()  # answer to any Host, and without limit: probes call by address
    cors_origins: Sequence[str] = ()
    cors_allow_credentials: bool = False
    max_body_bytes: int = 1024 * 1024
    deadline_seconds: float = 9.0  # these three: see Deadline
    turn_seconds: float = 7.0
    limiters: Sequence[CapacityLimiter] = ()
    strict_transport: bool = False
    docs_enabled: bool = True
    pages: Pages | None = None  # whose `base.html` the guides extend; the kernel's own by default
    identify: Callable[[Request], str | None] = lambda _: None  # the registered client whose token is sent
    account: Callable[[Request], str | None] = lambda _: None  # the account whose token is sent
    limits: Limits | None = None  # how much a caller may send; any amount without
    store_usage: Callable[[Counts], None] = lambda _: None  # see Ledger
    flush_seconds: float = FLUSH_SECONDS
    usage_stop_seconds: float = STOP_SECONDS
    metrics_enabled: bool = True
    observers: Sequence[Callable[[Call], None]] = ()


@dataclass(frozen=True)
class Installed:
    """What the kernel hands back: the documents by version name, the brownouts, the ledger, the metrics."""

    documents: Mapping[str, dict[str, Any]]
    schedule: Schedule
    ledger: Ledger
    metrics: Metrics


def install(app: FastAPI, installation: Installation) -> Installed:
    """Add the versions' routes, documents, docs pages, discovery, metrics, error handling and middleware to `app`.

    Call it after the application's own routes are there. The ledger lives within the application's lifespan. Raises
    LifecycleError for versions that contradict each other: what is wrong shows at boot, not at the first request.
    """
    versions = installation.versions
    registry.check(versions)
    # Routes are tried in order: those that are asked most come first, and the newest version's before all.
    routes_of_the_application = list(app.router.routes)
    app.router.routes.clear()
    for version in reversed(versions):
        for beginning, routes in groupby(version.router.routes, first_segment):
            if beginning:
                placed = [under(version.prefix, route, app) for route in routes if isinstance(route, APIRoute)]
                app.router.routes.append(Section(version.prefix + beginning, placed))
            else:
                app.include_router(APIRouter(routes=list(routes)), prefix=version.prefix)
    app.router.routes.extend(routes_of_the_application)
    _refuse_routes_without_version(app, versions)
    documents = {version.name: build_document(app, version, installation.info) for version in versions}
    schedule = Schedule({version.name: version.brownouts for version in versions})
    operations = operations_of(documents)
    metrics = Metrics(versions, operations)
    ledger = Ledger(
        operations,
        installation.store_usage,
        installation.flush_seconds,
        on_written=metrics.usage_written,
        patience=installation.usage_stop_seconds,
    )
    app.include_router(APIRouter(lifespan=lambda _: ledger))  # it writes the rest when the application stops
    observers = [ledger.note, *installation.observers]
    if installation.metrics_enabled:
        observers.append(metrics.note)
        app.include_router(metrics.router())
    app.include_router(discovery.build_router(versions, schedule, docs_enabled=installation.docs_enabled))
    pages = installation.pages or Pages(shared={"site": versions[-1].title})
    app.include_router(guide.build_router(versions, documents, pages))
    if installation.docs_enabled:
        for version in versions:
            _serve_document(app, version, documents[version.name])
        app.mount(ASSETS_PATH, assets())
    _handle_errors(app, installation)
    _add_middleware(app, installation, schedule, metrics, observers)
    return Installed(documents, schedule, ledger, metrics)


def _refuse_routes_without_version(app: FastAPI, versions: Sequence[ApiVersion]) -> None:
    for context in served_routes(app):
        if getattr(context, "include_in_schema", False) and version_of(context.path or "", versions) is None:
            raise LifecycleError(
                f"{context.path} is in no version: put it into a version's router, or set include_in_schema=False"
            )


def _templates(app: FastAPI, versions: Sequence[ApiVersion]) -> Callable[[str, str], str | None]:
    """A function that gives the path template that a method and path are served by; None for none."""
    served: list[tuple[re.Pattern[str], set[str], str]] = [
        (compile_path(context.path)[0], set(context.methods or ()), context.path)
        for version in versions
        for context in routes_of(app, version)
        if context.path
    ]

    def template_of(method: str, path: str) -> str | None:
        version = version_of(path, versions)
        if version and version.ignores_trailing_slash:
            path = path.removesuffix("/")
        return next((known for pattern, methods, known in served if method in methods and pattern.match(path)), None)

    return template_of


def _serve_document(app: FastAPI, version: ApiVersion, document: dict[str, Any]) -> None:
    content = json.dumps(document, ensure_ascii=False).encode()

    async def openapi() -> Response:
        return Response(content, media_type="application/json")

    async def docs() -> Response:
        return docs_page(version)

    app.get(f"{version.prefix}/openapi.json", include_in_schema=False)(openapi)
    app.get(f"{version.prefix}/docs", include_in_schema=False)(docs)


def _render(installation: Installation) -> Callable[[Problem, Request], Response]:
    """A failure in the form of the version that the path belongs to, or a plain one outside the versions."""

    def render(problem: Problem, request: Request) -> Response:
        version = version_of(request.scope["path"], installation.versions)
        if version is not None:
            return version.errors.render(problem, request)
        content = problems.plain_document(problem, request.state.request_id)
        return JSONResponse(content, problem.status, problem.headers, "application/problem+json")

    return render


def _handle_errors(app: FastAPI, installation: Installation) -> None:
    render = _render(installation)
    served = [
        (compile_path(context.path)[0], context.methods or set())
        for context in served_routes(app)
        if context.path and context.methods
    ]

    def allowed_methods(path: str) -> str:
        """Every method the path answers to: the framework itself names those of the first route only."""
        methods = {method for pattern, methods in served if pattern.match(path) for method in methods}
        return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405 and request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed_methods(request.scope["path"])})
        if error.status_code == 405:
            # Mounted applications, which have no methods, name their own.
            allow = {"Allow": allowed_methods(request.scope["path"]) or (error.headers or {}).get("Allow", "GET, HEAD")}
            problem = Problem(problems.METHOD_NOT_ALLOWED, "The path does not answer to this method", headers=allow)
            return render(problem, request)
        return render(problems.of_http_exception(error), request)

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return render(problems.of_validation(error), request)

    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_validation_error)

    for type_, translate in installation.translate.items():

        async def on_error(
            request: Request, error: Exception, translate: Callable[[Any], Problem | None] = translate
        ) -> Response:
            problem = translate(error)
            if problem is None:
                raise error  # a bug: Boundary logs it and answers 500
            return render(problem, request)

        app.add_exception_handler(type_, on_error)


def _add_middleware(
    app: FastAPI,
    installation: Installation,
    schedule: Schedule,
    metrics: Metrics,
    observers: Sequence[Callable[[Call], None]],
) -> None:
    """From the inside out: what is added last is the outermost."""
    render, template_of = _render(installation), _templates(app, installation.versions)
    app.add_middleware(
        Deadline,
        render=render,
        seconds=installation.deadline_seconds,
        turn_seconds=installation.turn_seconds,
        limiters=installation.limiters,
    )
    app.add_middleware(
        Boundary,
        schedule=schedule,
        identify=installation.identify,
        template_of=template_of,
        render=render,
        allowed_hosts=installation.allowed_hosts,
        host_free_paths=installation.host_free_paths,
        max_body_bytes=installation.max_body_bytes,
    )
    app.add_middleware(Compression)
    app.add_middleware(NotModified)
    if installation.limits is not None:
        app.add_middleware(
            RateLimits,
            render=render,
            limits=installation.limits,
            account=installation.account,
            client=installation.identify,
            free_paths=installation.host_free_paths,
            template_of=template_of,
            refused=metrics.limited,
        )
    if installation.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=installation.cors_origins,
            allow_credentials=installation.cors_allow_credentials,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                *("Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID"),
            ],
            expose_headers=_EXPOSED_HEADERS,
        )
    app.add_middleware(
        RequestContext,
        versions=installation.versions,
        identify=installation.identify,
        observers=observers,
        strict_transport=installation.strict_transport,
        docs_enabled=installation.docs_enabled,
    )
