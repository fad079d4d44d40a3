"""The same databases, the same service in this process, and the same server as in tests/, for the contract tests."""

from tests.conftest import app, database_url, live_server, postgres_url, session_client, settings

__all__ = ["app", "database_url", "live_server", "postgres_url", "session_client", "settings"]
