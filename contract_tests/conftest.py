"""The same databases, the same service in this process, and the same server as in tests/, for the contract tests."""

import json
from pathlib import Path

import pytest

from app.main import create_app
from contract_tests import tools
from tests.conftest import (
    app,
    database,
    database_url,
    live_server,
    make_settings,
    postgres_url,
    session_client,
    settings,
)

__all__ = ["app", "database", "database_url", "live_server", "postgres_url", "session_client", "settings"]


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file with each version's document, as `tandem openapi` prints it."""
    folder = tmp_path_factory.mktemp("documents")
    described = create_app(make_settings(f"sqlite:///{folder}/none.db")).state.installed.documents
    files = {version: folder / f"{version}.json" for version in described}
    for version, file in files.items():
        file.write_text(json.dumps(described[version], indent=2, ensure_ascii=False))
    return files


@pytest.fixture(scope="session")
def node() -> Path:
    """Where the commands of the pinned Node packages are."""
    return tools.node_modules()


@pytest.fixture(scope="session")
def clients() -> Path:
    """Where the commands are that make, check and run the Python clients."""
    return tools.client_environment()
