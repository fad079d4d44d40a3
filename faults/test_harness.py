"""The ways to break PostgreSQL, before anything is concluded from them."""

import time
from pathlib import Path

import httpx2

from faults.postgres import PostgresServer
from tests.server import LiveServer


def test_a_server_notices_that_its_database_is_away_and_back(postgres: PostgresServer, tmp_path: Path) -> None:
    """Stopping, killing and starting PostgreSQL is seen from the API: 503, then 200 again."""
    with LiveServer(postgres.url, tmp_path) as server:
        for breaking in (postgres.stop, postgres.kill):
            breaking()
            assert httpx2.get(f"{server.url}/v2/posts", timeout=20).status_code == 503
            postgres.start()
            deadline = time.monotonic() + 10
            while (status := httpx2.get(f"{server.url}/v2/posts", timeout=20).status_code) != 200:
                assert status == 503
                assert time.monotonic() < deadline
