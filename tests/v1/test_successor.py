"""Where version 1 sends its clients: each `successor-version` link leads to the same fact in version 2."""

import socket

import pytest

from tests.links import target_of
from tests.steps import PASSWORD

LAST_ID = 2**63 - 1


def followed(client, reply, headers=None, method="GET", **more):
    """What the successor link of a reply leads to, asked with the same token."""
    return client.request(method, target_of(reply, "successor-version"), headers=headers, **more)


@pytest.fixture
def ada(steps):
    return steps.person("ada@example.com")


@pytest.fixture
def letters(steps, ada):
    """25 posts in the order of their ids: every third is a note, every fifth a draft."""
    titles = [f"{'Note' if number % 3 == 0 else 'Letter'} {number}" for number in range(25)]
    return [steps.post(ada, title, published=number % 5 != 0) for number, title in enumerate(titles)]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_post(client, steps, ada, letters, slash):
    """A post is the same post, read, replaced, changed or deleted, for its owner and for others."""
    bob = steps.person()
    for post in letters[:6]:
        for person in (ada, bob):
            reply = client.get(f"/v1/posts/{post['id']}{slash}", headers=person.headers)
            there = followed(client, reply, person.headers)
            assert there.status_code == reply.status_code
            if reply.status_code == 200:
                assert (there.json()["id"], there.json()["title"]) == (post["id"], reply.json()["Post"]["title"])
    post = f"/v1/posts/{letters[1]['id']}{slash}"
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        reply = client.request(method, post, headers=ada.headers, json={"title": "t", "content": "c"})
        assert target_of(reply, "successor-version") == f"/v2/posts/{letters[1]['id']}"


@pytest.mark.parametrize(
    ("query", "skip"),
    [
        ("", 0),
        ("limit=3", 0),
        ("limit=3&skip=4", 4),
        ("skip=24", 24),
        ("skip=25", 25),
        (f"skip={LAST_ID}", LAST_ID),
        ("limit=100", 0),
        ("limit=1000&skip=2", 2),
        ("limit=7.0&skip=2.0", 2),
        ("limit=03&skip=007", 7),
        ("skip=2&skip=5&limit=4", 5),
        ("search=note&limit=2&skip=1", 1),
        ("search=NOTE+1&skip=1", 1),
        ("search=100%25%26limit%3D1", 0),
        ("search=%F0%9F%9A%80", 0),
        ("search=&limit=2", 0),
        ("limit=5&unknown=x&tag=y&cursor=z&sort=title", 0),
    ],
)
def test_a_list(client, ada, letters, query, skip):
    """The page of version 2 begins at the post at which version 1's does, and walks on to its end."""
    assert letters
    reply = client.get(f"/v1/posts?{query}", headers=ada.headers)
    assert reply.status_code == 200
    search = "&".join(part for part in query.split("&") if part.startswith("search="))
    everything = client.get(f"/v1/posts?limit=1000&{search}", headers=ada.headers).json()
    wanted = [item["Post"]["id"] for item in everything][skip:]
    page = followed(client, reply, ada.headers)
    assert page.status_code == 200
    size = min(len(reply.json()), 100)
    assert [post["id"] for post in page.json()["data"]][:size] == [item["Post"]["id"] for item in reply.json()][:size]
    found = [post["id"] for post in page.json()["data"]]
    while "next" in page.links:
        page = client.get(page.links["next"]["url"], headers=ada.headers)
        found += [post["id"] for post in page.json()["data"]]
    assert found == wanted


def test_a_page_of_a_successor_leads_back(client, ada, letters):
    """From the page that a link leads to, `prev` goes to the posts before it."""
    reply = client.get("/v1/posts?skip=20&limit=5", headers=ada.headers)
    page = followed(client, reply, ada.headers)
    before = client.get(page.links["prev"]["url"], headers=ada.headers).json()["data"]
    assert [post["id"] for post in before] == [post["id"] for post in letters[15:20]]


def test_a_list_that_is_refused(client, ada):
    """What version 1 refuses in a query is left out of the link, which leads to a list all the same."""
    for query in ("limit=x&skip=-1", "limit=1001&skip=1e400", f"skip={2**63}", "search=%00", "limit=&skip=%2B1"):
        reply = client.get(f"/v1/posts?{query}", headers=ada.headers)
        assert reply.status_code == 422
        assert followed(client, reply, ada.headers).status_code == (422 if "search" in query else 200)
    assert client.head("/v1/posts?skip=3", headers=ada.headers).headers["link"].count("cursor=") == 1


def test_a_vote(client, steps, ada):
    """A vote for a post is the vote on that post, also when it was refused."""
    bob = steps.person()
    post = steps.post(bob)["id"]
    for body, status in (({"post_id": post, "dir": 1}, 201), ({"post_id": post, "dir": 1}, 409)):
        reply = client.post("/v1/vote", json=body, headers=ada.headers)
        assert reply.status_code == status
        assert target_of(reply, "successor-version") == f"/v2/posts/{post}/vote"
    again = followed(client, reply, ada.headers, "PUT", json={"value": 1})
    assert again.json()["votes"]["up"] == 1
    assert followed(client, reply, ada.headers, "DELETE").status_code == 204
    refused = client.post("/v1/vote", json={"post_id": "x"}, headers=ada.headers)
    assert target_of(refused, "successor-version") == "/v2/posts"


def test_a_user_and_a_login(client, ada):
    """A user is the same user; signing up and logging in are where version 2 has them."""
    reply = client.get(f"/v1/users/{ada.id}")
    assert followed(client, reply).json()["id"] == ada.id
    again = {"email": ada.email, "password": PASSWORD}
    reply = client.post("/v1/users", json=again)
    assert followed(client, reply, method="POST", json=again).status_code == reply.status_code == 409
    form = {"username": ada.email, "password": PASSWORD, "grant_type": "password"}
    for path in ("/v1/login", "/v1/login/"):
        there = followed(client, client.post(path, data=form), method="POST", data=form)
        assert client.get("/v1/posts", headers={"Authorization": f"Bearer {there.json()['access_token']}"}).is_success


NASTY = {
    "a line break": "/v1/%0d%0aSet-Cookie:%20a=b",
    "a line break in a query": "/v1/posts?search=%0d%0aSet-Cookie:%20a=b",
    "the end of a link": '/v1/%3E;%20rel="next",%20<',
    "unicode": "/v1/posts/%E4%BD%A0%F0%9F%A6%8A",
    "no UTF-8": "/v1/posts/%FF%FE",
    "no UTF-8 in a query": "/v1/posts?search=%FF",
    "an encoded slash": "/v1/posts%2F1",
    "an encoded slash at the end": "/v1/posts%2F",
    "double slashes": "/v1//posts//1",
    "another host": "/v1//evil.example/",
    "going up": "/v1/../v2/posts",
    "NUL": "/v1/posts/%00",
    "a percent sign": "/v1/100%25",
    "a stray percent sign": "/v1/100%",
    "5,000 digits": f"/v1/posts/{'9' * 5000}",
    "skip of 5,000 digits": f"/v1/posts?skip={'9' * 5000}",
    "search of 20,000 characters": f"/v1/posts?search={'%C3%A9' * 5000}",
    "a semicolon": "/v1/posts;a=b?c;d",
    "the version alone": "/v1",
    "nothing after it": "/v1/",
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_paths(client, ada, name):
    """Whatever is asked for, the link is a URL of version 2's, short enough for a header, and nothing is a 500."""
    reply = client.get(NASTY[name], headers=ada.headers)
    assert reply.status_code in (200, 404, 422)
    if reply.headers["api-version"] == "v1":  # not so where the client itself went up
        target = target_of(reply, "successor-version")
        assert target == "/v2" or target.startswith(("/v2/", "/v2?"))
        assert len(target) <= 2000


@pytest.mark.parametrize("path", [b"/v1/%0d%0aX:y", b"/v1//a%2Fb", b"/v1/" + b"9" * 5000, b"/v1/%e4%bd%a0?%ff=%0a"])
def test_nasty_paths_through_a_server(live_server, path):
    """On the wire such a reply has one Link line, and no line that was sent in."""
    with socket.create_connection(("127.0.0.1", live_server.port)) as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")[0].decode("ascii")
    status, *lines = head.split("\r\n")
    assert status.split()[1] in ("404", "422")
    assert [line.partition(":")[0] for line in lines].count("link") == 1
    assert not [line for line in lines if line.lower().startswith("x:")]
