"""The same databases and the same server as in tests/, for the contract tests."""

from tests.conftest import database_url, live_server, postgres_url

__all__ = ["database_url", "live_server", "postgres_url"]
