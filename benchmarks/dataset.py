"""The rows that every contender works on: 10,382 people, 20,100 posts and 1,010,951 votes, made by `tandem import`."""

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.environments import ROOT

USERS, POSTS, VOTES = 10_382, 20_100, 1_010_951
MOST_VOTES = 2_553  # on one post
_SEED = 2016
# Words of titles, the common ones first; few enough that searches find as much as they do in real titles.
_WORDS = """
    the to a of for in and is on how with you your what why from new are an do by that it be at not open source using
    data google web app code learning software startup python video apple language design science time world machine
    security people computer business programming internet game free build team linux api work server system first
    javascript history tech project years without network tool guide library company better engine story future
    research deep simple life modern development human money hacker space tesla energy cloud books brain driving
""".split()  # noqa: SIM905 - read as lines of words


def hacker_news() -> Path | None:
    """The program that makes the dump of a year of Hacker News, if it is there: in BENCH_DATA or beside the project."""
    folder = Path(os.environ.get("BENCH_DATA", ROOT.parent / "shared" / "data"))
    program = folder / "hn_to_dump.py"
    return program if program.exists() else None


def make_dump(path: Path) -> str:
    """Write a dump, gzipped JSON Lines, the same on every run; says which of the two it is."""
    program = hacker_news()
    if program is not None:
        subprocess.run([sys.executable, str(program), str(path)], check=True)
        return "Hacker News, 2016"
    # Level 1: it is read once.
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        for record in _generated():
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
    return "generated, in the shape of Hacker News, 2016"


def _generated() -> Iterator[dict[str, object]]:
    """Records of a dump: as many as in the real one, and votes as unevenly spread."""
    rng = random.Random(_SEED)
    authors = [f"hn{number:05d}@example.com" for number in range(1, USERS + 1)]
    began = datetime(2016, 1, 1, tzinfo=UTC)
    for number, email in enumerate(authors, 1):
        yield {"type": "user", "email": email, "display_name": f"author{number}", "created_at": _time(began)}
    for number in range(POSTS):
        words = [_WORDS[min(int(rng.expovariate(1 / 22)), len(_WORDS) - 1)] for _ in range(rng.randint(5, 12))]
        yield {
            "type": "post",
            "ref": str(number),
            "author": authors[min(int(rng.paretovariate(0.7)), USERS) - 1],
            "title": " ".join(words).capitalize(),
            "content": f"https://{words[0]}-{number}.example.com/2016/{'-'.join(words[:6])}",
            "tags": [rng.choice(("story",) * 8 + ("ask", "show"))],
            "published": True,
            "created_at": _time(began + timedelta(seconds=rng.randrange(270 * 86_400))),
        }
    for number, votes in enumerate(_vote_counts(rng)):
        for email in rng.sample(authors, votes):
            yield {"type": "vote", "user": email, "post": str(number), "value": 1}


def _vote_counts(rng: random.Random) -> list[int]:
    """How many votes each post has: half of them fewer than ten, the first the most."""
    raw = [min(rng.lognormvariate(2.3, 1.75), MOST_VOTES) for _ in range(POSTS)]
    scale = VOTES / sum(raw)
    counts = [MOST_VOTES, *(max(1, min(int(value * scale), MOST_VOTES)) for value in raw[1:])]
    difference = VOTES - sum(counts)
    step = 1 if difference > 0 else -1
    while difference:
        place = rng.randrange(1, POSTS)
        if 1 <= counts[place] + step <= MOST_VOTES:
            counts[place] += step
            difference -= step
    return counts


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
