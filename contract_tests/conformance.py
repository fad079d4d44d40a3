"""How Schemathesis is run, by the tests and by `make fuzz`: every check, every phase, nothing left out."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app.db import Database, migrations
from app.settings import Settings
from app.versioning import ApiVersion

ROOT = Path(__file__).parents[1]
IN_PROCESS = "http://127.0.0.1:9"  # where nobody answers: all requests go to the application


def migrated(database_url: str) -> str:
    """The same URL, when the database has all tables."""
    database = Database(Settings(database_url=database_url).database_url)
    migrations.upgrade(database)
    database.close()
    return database_url


def run(
    version: ApiVersion,
    target: str,
    folder: Path,
    *options: str,
    document: Path | None = None,
    seconds: int | None = None,
    show: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run all checks on a version of the service; the exit code is 0 if it found nothing.

    `target` is the URL of a running server, or of a database for the service in Schemathesis' own process: then the
    `document` is read from a file. `options` are Schemathesis' own. After so many `seconds` it comes to an end, before
    that it goes on. Its output goes to the terminal on `show`.
    """
    where: Sequence[str] = [f"{target}{version.prefix}/openapi.json"]
    if document is not None:
        where = [str(document), "--url", IN_PROCESS]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "schemathesis.toml"), "run", *where),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--no-color"),
        *options,
        *(("--max-time", str(seconds)) if seconds else ()),
    ]
    hooks = {
        "SCHEMATHESIS_HOOKS": "contract_tests.hooks",
        "CONFORMANCE_TARGET": target,
        "CONFORMANCE_SECONDS": str(seconds or ""),
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",  # the order of sets would differ from run to run
    }
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **hooks}, capture_output=not show, text=True, check=False
    )
