"""`make fuzz`: Schemathesis with a fresh seed, for as long as it is given, on every version of a server of its own.

FUZZ_SECONDS is how long (300), SEED repeats a run, DATABASE_URL names a database to do it on instead of a scratch one.
"""

import os
import secrets
import sys
import tempfile
from pathlib import Path

from app.api import VERSIONS
from contract_tests import conformance
from tests.server import LiveServer


def main() -> int:
    """Fuzz every version; 1 if that found anything, with what repeats it."""
    seconds = int(os.environ.get("FUZZ_SECONDS", "300"))
    seed = int(os.environ.get("SEED") or secrets.randbelow(2**32))
    sys.stdout.write(f"seed {seed}, {seconds} seconds\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        url = conformance.migrated(os.environ.get("DATABASE_URL") or f"sqlite:///{folder}/tandem.db")
        each = max(1, seconds // len(VERSIONS))
        found = []
        with LiveServer(url, folder) as server:
            for version in VERSIONS:
                run = conformance.run(version, server.url, folder, "--seed", str(seed), seconds=each, show=True)
                if run.returncode:
                    found.append(version.name)
    if found:
        where = "DATABASE_URL=… " if os.environ.get("DATABASE_URL") else ""
        again = f"make fuzz SEED={seed} FUZZ_SECONDS={seconds} {where}".rstrip()
        sys.stderr.write(f"\nFound in {' and '.join(found)}. To ask the same again, of an empty database: {again}\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
