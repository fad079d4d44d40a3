"""What logging in tells by the time it takes, and what a rush of it costs everybody else."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from app.db import Database
from app.domain import users
from app.domain.passwords import PasswordHasher
from app.settings import Settings
from faults.conftest import Measured
from tests.server import LiveServer

PASSWORD = "correct horse"
ROUNDS = 10
MAY_DIFFER = 0.05
RUSH = 50
NO_LIMITS = {"RATE_LIMIT_ENABLED": "false", "LOG_LEVEL": "INFO"}


def sign_up(url: str, count: int, rounds: int) -> None:
    """Accounts with a password and, beside them, without one, as many of each: known0@, none0@, …"""
    hash_ = PasswordHasher(rounds=rounds, workers=1).hash_blocking(PASSWORD)
    database = Database(Settings(database_url=url).database_url)
    with database.write() as session:
        for number in range(count):
            users.create(session, email=f"known{number}@example.com", password_hash=hash_)
            users.create(session, email=f"none{number}@example.com", password_hash=None)
    database.close()


def v1(client: httpx2.Client, email: str, password: str) -> httpx2.Response:
    return client.post("/v1/login", data={"username": email, "password": password})


def v2(client: httpx2.Client, email: str, password: str) -> httpx2.Response:
    return client.post("/v2/auth/token", data={"grant_type": "password", "username": email, "password": password})


def portal(client: httpx2.Client, email: str, password: str) -> httpx2.Response:
    headers = {"Sec-Fetch-Site": "same-origin"}
    return client.post("/portal/sign-in", data={"email": email, "password": password}, headers=headers)


@pytest.mark.parametrize("log_in", [v1, v2, portal])
def test_a_refused_login_takes_as_long_for_whatever_reason(
    sqlite_url: str, tmp_path: Path, log_in: object, measured: Measured
) -> None:
    """The medians of 300 interleaved logins, by why they were refused, lie within 5 % of each other."""
    sign_up(sqlite_url, 100, ROUNDS)
    reasons = {"unknown": "nobody", "wrong password": "known", "no password": "none"}
    took: dict[str, list[float]] = {reason: [] for reason in reasons}
    with LiveServer(sqlite_url, tmp_path, BCRYPT_ROUNDS=str(ROUNDS), **NO_LIMITS) as server:
        with httpx2.Client(base_url=server.url, timeout=30) as client:
            for number in range(100):
                for reason, name in reasons.items():
                    begun = time.perf_counter()
                    reply = log_in(client, f"{name}{number}@example.com", "a wrong one")
                    took[reason].append(time.perf_counter() - begun)
                    assert reply.status_code in (400, 403)
    medians = {reason: statistics.median(times) * 1000 for reason, times in took.items()}
    spread = max(medians.values()) / min(medians.values()) - 1
    figures = ", ".join(f"{reason} {median:.1f} ms" for reason, median in medians.items())
    measured(f"300 refused logins, {log_in.__name__}", f"{figures}: {spread:.1%} apart")
    print({r: max(t) for r, t in took.items()})
    assert spread <= MAY_DIFFER


def test_a_rush_of_logins_leaves_reads_alone(sqlite_url: str, tmp_path: Path, measured: Measured) -> None:
    """While fifty people log in at once, the p99 of reads stays under twice what it is when nobody does."""
    sign_up(sqlite_url, RUSH, 12)
    with LiveServer(sqlite_url, tmp_path, BCRYPT_ROUNDS="12", **NO_LIMITS) as server:
        with httpx2.Client(base_url=server.url, timeout=120) as client, ThreadPoolExecutor(RUSH) as pool:
            idle = []
            rushed = []
            read(client, 300)
            idle = read(client, 3000)
            logins = [pool.submit(v2, client, f"known{number}@example.com", PASSWORD) for number in range(RUSH)]
            while not all(login.done() for login in logins):
                rushed += read(client, 20)
            assert {login.result().status_code for login in logins} == {200}
            idle += read(client, 3000)
    p = lambda xs, q: statistics.quantiles(xs, n=100)[q - 1] * 1000
    print(len(idle), len(rushed), [p(idle, q) for q in (50, 90, 99)], [p(rushed, q) for q in (50, 90, 99)])
    assert 0


def read(client: httpx2.Client, times: int) -> list[float]:
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        assert client.get("/v2/users/1").status_code == 200
        took.append(time.perf_counter() - begun)
    return took
