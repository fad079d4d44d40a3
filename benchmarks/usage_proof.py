"""That the usage ledger counts exactly: `python -m benchmarks.usage_proof [sqlite|postgresql]` (`make usage-proof`).

100,000 requests over 4 workers must all be in the ledger after SIGTERM, and `kill -9` in the middle of requests may
lose at most what was answered within a flush interval. Everything runs on the loopback interface, in minutes.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

from app.adoption.models import usage
from app.db import Database
from app.settings import Settings
from contract_tests.recordings import postgresql, sqlite
from tests.conftest import empty
from tests.server import LiveServer

WORKERS, CONNECTIONS, REQUESTS, SECONDS, FLUSH = 4, 32, 100_000, 15, 2.0
_REQUEST = b"GET /v2/users/0 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: proof-%d/1\r\n\r\n"  # 422: cheap, no database


async def _ask(port: int, number: int, requests: int, answered: list[float]) -> None:
    """Ask so often over a connection of its own, or until the server is gone; note when each answer was there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for _ in range(requests):
            writer.write(_REQUEST % number)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
            answered.append(time.time())
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _ask_all(port: int, requests: int, answered: list[float]) -> None:
    await asyncio.gather(*(_ask(port, number, requests, answered) for number in range(CONNECTIONS)))


def _in_ledger(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.sum(usage.c.calls))).scalar() or 0)


def _stop_gracefully(url: str, database: Database, folder: Path) -> bool:
    answered: list[float] = []
    environment = {"WORKERS": str(WORKERS), "USAGE_FLUSH_SECONDS": str(FLUSH), "LOG_LEVEL": "INFO"}
    with LiveServer(url, folder, **environment) as server:
        began = time.time()
        asyncio.run(_ask_all(server.port, REQUESTS // CONNECTIONS, answered))
        seconds = time.time() - began
    counted = _in_ledger(database)
    print(f"  SIGTERM: {len(answered):,} answered in {seconds:.0f} s, {counted:,} in the ledger")
    return counted == len(answered) == REQUESTS


def _kill(url: str, database: Database, folder: Path) -> bool:
    answered: list[float] = []

    async def ask_and_kill(server: LiveServer) -> float:
        asking = asyncio.create_task(_ask_all(server.port, REQUESTS, answered))
        await asyncio.sleep(SECONDS)
        killed = time.time()
        await asyncio.to_thread(server.kill)
        await asking
        return killed

    environment = {"WORKERS": str(WORKERS), "USAGE_FLUSH_SECONDS": str(FLUSH), "LOG_LEVEL": "INFO"}
    with LiveServer(url, folder, **environment) as server:
        killed = asyncio.run(ask_and_kill(server))
    counted = _in_ledger(database)
    recent = sum(moment > killed - FLUSH for moment in answered)
    lost = len(answered) - counted
    print(f"  kill -9: {len(answered):,} answered, {counted:,} in the ledger, {lost:,} lost;")
    print(f"           {recent:,} were answered within the last {FLUSH:g} s, the flush interval")
    return 0 <= lost <= recent


def main() -> None:
    wanted = sys.argv[1:] or ["sqlite", "postgresql"]
    exact = True
    with sqlite() as one, postgresql() as other, tempfile.TemporaryDirectory(prefix="tandem-proof-") as folder:
        for url in (one, other):
            if url.partition(":")[0] not in wanted:
                continue
            print(f"{url.partition(':')[0]}, {WORKERS} workers")
            database = Database(Settings(database_url=url).database_url)
            for proof in (_stop_gracefully, _kill):
                empty(database)
                exact &= proof(url, database, Path(folder))
            database.close()
    sys.exit(0 if exact else 1)


if __name__ == "__main__":
    main()
