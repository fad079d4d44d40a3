"""The ring of middleware that counts requests and refuses those of a caller who sends too many: pure ASGI."""

from collections.abc import Callable, Collection
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.versioning import problems
from app.versioning.middleware import raw_headers
from app.versioning.problems import Problem
from app.versioning.quotas import Limits, Standing, ratelimit_fields

NETWORK_BITS = 64  # of an IPv6 address: what a customer is given at least; the rest they choose as they like


class RateLimits:
    """Counts every request but OPTIONS, which asks for no more than permission, and those of `free_paths`.

    Replies tell how the caller stands, 429 included, in the fields of their version. `account` and `client` give whose
    token a request carries; `refused` is called with the name of the policy when one is refused.
    """

    def __init__(
        self,
        app: ASGIApp,
        render: Callable[[Problem, Request], Response],
        limits: Limits,
        account: Callable[[Request], str | None],
        client: Callable[[Request], str | None],
        free_paths: Collection[str],
        template_of: Callable[[str, str], str | None],
        refused: Callable[[str], None],
    ) -> None:
        self.app = app
        self.render = render
        self.limits = limits
        self.account = account
        self.client = client
        self.free_paths = frozenset(free_paths)
        self.template_of = template_of
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "OPTIONS" or scope["path"] in self.free_paths:
            await self.app(scope, receive, send)
            return
        version, request = scope["state"]["version"], Request(scope)
        account = self.account(request)
        client = None if account is None else self.client(request)
        standings = await self.limits.count(account, client, caller_address(scope))
        told = (version.limit_fields if version else ratelimit_fields)(standings)
        fields = raw_headers(told)

        async def send_telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *fields]
            await send(message)

        exceeded = [standing for standing in standings if standing.exceeded]
        if not exceeded:
            await self.app(scope, receive, send_telling)
            return
        # No route will say what it was for: the log line and the ledger want to know.
        request.state.route = self.template_of(scope["method"], scope["path"])
        self.refused(exceeded[0].policy.name)
        await self.render(_refusal(exceeded[0]), request)(scope, receive, send_telling)


def _refusal(standing: Standing) -> Problem:
    name, wait = standing.policy.name, standing.reset
    detail = f"Too many requests of this {name}; try again in {wait} s"
    return Problem(problems.RATE_LIMITED, detail, headers={"Retry-After": str(wait)})


def caller_address(scope: Scope) -> str:
    """The address that a request comes from, of IPv6 its network; "unknown" for what is none, such as a unix socket.

    Behind a proxy it is the one that the server took from X-Forwarded-For, if it trusts the proxy.
    """
    return _network_of(scope["client"][0]) if scope.get("client") else "unknown"


@lru_cache(maxsize=10_000)
def _network_of(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), NETWORK_BITS), strict=False))
