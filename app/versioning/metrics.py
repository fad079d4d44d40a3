"""Metrics of the versions for Prometheus, in its text format; their labels come from the declarations.

With several workers each leaves its numbers in the folder that PROMETHEUS_MULTIPROC_DIR names, which must be set
before the first of them starts, and any of them tells those of all (Prometheus's multiprocess mode).
"""

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.responses import Response

from app.versioning.usage import UNKNOWN, Call, Operation
from app.versioning.version import ApiVersion

METRICS_PATH = "/metrics"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds
_LABELS = ("version", "operation", "status", "phase")


class Metrics:
    """What one worker counts; `render` tells what all of them have.

    No label holds what a client made up: operations are those of the documents, clients the registered ones.
    """

    def __init__(self, versions: Sequence[ApiVersion], operations: Mapping[tuple[str, str | None], Operation]) -> None:
        self._versions = {version.name: version for version in versions}
        self._operations = operations
        self._children: dict[tuple[str, str, int, str], tuple[Counter, Histogram]] = {}
        self._registry = CollectorRegistry()
        self._requests = Counter("http_requests", "Requests answered.", _LABELS, registry=self._registry)
        self._durations = Histogram(
            "http_request_duration_seconds",
            "Until the reply was out.",
            _LABELS,
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._drift = Counter(
            "api_client_drift_calls",
            "Calls of a version by registered clients pinned to another.",
            ("client", "pinned", "called"),
            registry=self._registry,
        )
        self._limited = Counter(
            "rate_limited_requests", "Requests refused with 429, by policy.", ("policy",), registry=self._registry
        )
        self._limits_shared = Gauge(
            "rate_limits_shared",
            "Whether the workers count requests together, in Redis; 0 also while it does not answer.",
            multiprocess_mode="livemin",
            registry=self._registry,
        )
        self._written = Gauge(
            "api_usage_written_timestamp_seconds",
            "Up to when every call is in the usage ledger; time() minus this is how far it lags behind.",
            multiprocess_mode="livemin",
            registry=self._registry,
        )
        self.usage_written()
        for name, help_, moments in (
            ("deprecation", "Since when a version is deprecated.", {v.name: v.deprecated for v in versions}),
            ("sunset", "When a version ends.", {v.name: v.sunset for v in versions}),
        ):
            gauge = Gauge(
                f"api_version_{name}_timestamp_seconds",
                help_,
                ("version",),
                multiprocess_mode="max",
                registry=self._registry,
            )
            for version, moment in moments.items():
                if moment is not None:
                    gauge.labels(version).set(moment.timestamp())

    def note(self, call: Call) -> None:
        """Count a call."""
        operation = self._operations.get((call.method, call.route), UNKNOWN)
        phase = self._versions[call.version].phase(datetime.now(UTC))
        key = (call.version, operation.name, call.status // 100, phase)
        if (children := self._children.get(key)) is None:
            labels = (call.version, operation.name, f"{call.status // 100}xx", phase)
            children = self._children[key] = (self._requests.labels(*labels), self._durations.labels(*labels))
        requests, durations = children
        requests.inc()
        durations.observe(call.duration)

    def drifted(self, client: str, pinned: str, called: str, calls: int) -> None:
        """Count calls by a registered client of a version that it is not pinned to."""
        self._drift.labels(client, pinned, called).inc(calls)

    def limited(self, policy: str) -> None:
        """Count a request that was refused by this policy."""
        self._limited.labels(policy).inc()

    def limits_shared(self, shared: bool) -> None:
        """Note whether the workers count requests together."""
        self._limits_shared.set(shared)

    def usage_written(self) -> None:
        """Note that nothing is left to be written of what was counted until now."""
        self._written.set(time.time())

    def render(self) -> bytes:
        """All metrics, of all workers, in the text format 0.0.4."""
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if folder is None:
            return generate_latest(self._registry)
        _forget_the_dead(Path(folder))
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)
        return generate_latest(registry)

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        threads = CapacityLimiter(1)  # its own: it must answer also while requests wait for theirs

        @router.get(METRICS_PATH)
        async def metrics() -> Response:
            """What Prometheus scrapes."""
            content = await run_sync(self.render, limiter=threads)
            return Response(content, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

        return router


def _forget_the_dead(folder: Path) -> None:
    """What a worker that was killed last said of its present state is no longer so; its counts stay."""
    for file in folder.glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except OSError:
            mark_process_dead(pid, str(folder))
