"""Two people, and a client for races: requests that truly run at once need a server of their own."""

import httpx2
import pytest


@pytest.fixture
def ada(steps):
    """Somebody: the author, where there is one."""
    return steps.person()


@pytest.fixture
def bob(steps):
    """Somebody else."""
    return steps.person()


@pytest.fixture
def live(live_server):
    """Speaks to the server process, from any number of threads; its database is shared, so people must be new."""
    with httpx2.Client(base_url=live_server.url, timeout=60) as client:
        yield client
