"""What the checker finds wrong with Deprecation, Sunset and Link, and `tandem lifecycle check`."""

import json
import socket
from datetime import UTC, datetime
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.versioning.checker import announcement_of, check_headers
from tests.announcer import Announcer
from tests.test_cli import tandem, tandem_process

NOW = datetime(2024, 3, 1, tzinfo=UTC)
URL = "https://api.example/v1/posts?page=2"
DEPRECATED = ("Deprecation", "@1688169599")  # 30 June 2023 at 23:59:59 UTC, the example of RFC 9745
SUNSET = ("Sunset", "Sun, 30 Jun 2024 23:59:59 GMT")
GUIDE = ("Link", '<https://api.example/guide>; rel="deprecation"; type="text/html"')
IN_ORDER = [DEPRECATED, SUNSET, GUIDE]


def findings(*headers, status=200, url=URL):
    return check_headers(headers, status=status, at=NOW, base_url=url)


def codes(*headers, **more):
    return [finding.code for finding in findings(*headers, **more)]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        IN_ORDER,
        [DEPRECATED, GUIDE],
        [GUIDE],
        [("deprecation", '@1688169599;by=us;note="a, b"'), ("sunset", SUNSET[1]), ("link", GUIDE[1])],
        [("Deprecation", "@4102444800"), GUIDE],
        [("Deprecation", "@-1"), GUIDE],
        [DEPRECATED, ("Link", '</a,b;c>;rel="next SUCCESSOR-version" ; title="x, <y>; \\"z\\"";flag , <e>; rel=up,,')],
        [DEPRECATED, ("Link", "<?page=3>; rel=next"), ("Link", "</v2/posts>;; rel=successor-version;")],
        [DEPRECATED, ("Link", '</v3/posts>; rel="https://rels.example/x latest-version"')],
    ],
)
def test_nothing_is_wrong(headers):
    """What the RFCs allow is not held against an API, however it is spelled."""
    assert findings(*headers) == []


@pytest.mark.parametrize(
    ("value", "code", "send"),
    [
        ("true", "deprecation-true", "`@` and Unix seconds"),
        ("?1", "deprecation-true", "`@` and Unix seconds"),
        ("Fri, 30 Jun 2023 23:59:59 GMT", "deprecation-http-date", "`@1688169599`"),
        ("2023-06-30T23:59:59Z", "deprecation-malformed", "`@1688169599`"),
        ("1688169599", "deprecation-malformed", "`@1688169599`"),
        ("@1688169599.0", "deprecation-fraction", "`@1688169599`"),
        ("@1688169599000", "deprecation-out-of-range", "whole seconds"),
        ("@1688169599, @1688169599", "deprecation-repeated", "send one"),
        ("@1688169599; By=us", "deprecation-malformed", "such as `@"),
        ("@ 1688169599", "deprecation-malformed", "such as `@"),
        ("soon", "deprecation-malformed", "such as `@"),
        ("", "deprecation-malformed", "such as `@"),
    ],
)
def test_deprecation_is_a_structured_date(value, code, send):
    """Whatever is no Date of RFC 9651 is an error that says what to send instead."""
    (finding,) = findings(("Deprecation", value), GUIDE)
    assert (finding.code, finding.severity, finding.header) == (code, "error", "Deprecation")
    assert send in finding.message
    assert finding.section.startswith(("RFC 9745, section 2.1", "RFC 9651, section"))


@pytest.mark.parametrize(
    ("value", "code", "send"),
    [
        ("Sunday, 30-Jun-24 23:59:59 GMT", "sunset-obsolete-date", SUNSET[1]),
        ("Sun Jun 30 23:59:59 2024", "sunset-obsolete-date", SUNSET[1]),
        ("Sun, 30 Jun 2024 23:59:59 UTC", "sunset-malformed", SUNSET[1]),
        ("Mon, 01 Jul 2024 01:59:59 +0200", "sunset-malformed", SUNSET[1]),
        ("Sun, 30 Jun 2024 23:59:59 gmt", "sunset-malformed", SUNSET[1]),
        ("@1719791999", "sunset-malformed", SUNSET[1]),
        ("2024-06-30T23:59:59Z", "sunset-malformed", SUNSET[1]),
        ("Sat, 30 Jun 2024 23:59:59 GMT", "sunset-wrong-weekday", SUNSET[1]),
        ("Fri, 30 Feb 2024 23:59:59 GMT", "sunset-malformed", "no moment"),
        ("soon", "sunset-malformed", "such as"),
    ],
)
def test_sunset_is_an_imf_fixdate(value, code, send):
    """Whatever is no IMF-fixdate is an error that says how the same moment is written."""
    (finding,) = findings(DEPRECATED, ("Sunset", value), GUIDE)
    assert (finding.code, finding.severity, finding.header) == (code, "error", "Sunset")
    assert send in finding.message


def test_a_leap_second_is_a_time():
    """The grammar of HTTP-date has a 60th second, and so has the calendar, now and then."""
    assert codes(DEPRECATED, ("Sunset", "Sun, 30 Jun 2024 23:59:60 GMT"), GUIDE) == []


def test_names_of_headers_have_no_case():
    """HTTP/2 sends names in lower case, and nothing goes unseen for that."""
    found = codes(("deprecation", "true"), ("SUNSET", "soon"), ("link", "soon"))
    assert found == ["deprecation-true", "sunset-malformed", "link-malformed", "deprecated-without-link"]


@pytest.mark.parametrize("name", ["Deprecation", "Sunset"])
def test_one_date_each(name):
    """A header that is sent twice says nothing that clients could agree on, even when both say the same."""
    again = next(header for header in IN_ORDER if header[0] == name)
    assert codes(*IN_ORDER, again) == [f"{name.lower()}-repeated"]


@pytest.mark.parametrize(
    ("sunset", "status", "code"),
    [
        ("Fri, 30 Jun 2023 23:59:58 GMT", 410, "sunset-before-deprecation"),
        ("Fri, 30 Jun 2023 23:59:59 GMT", 200, "sunset-passed"),
        ("Fri, 01 Mar 2024 00:00:00 GMT", 304, "sunset-passed"),
        ("Fri, 01 Mar 2024 00:00:00 GMT", 404, "sunset-not-found"),
        ("Fri, 01 Mar 2024 00:00:00 GMT", 410, None),
        ("Fri, 01 Mar 2024 00:00:00 GMT", 403, None),
        ("Fri, 01 Mar 2024 00:00:01 GMT", 200, None),
        ("Fri, 01 Mar 2024 00:00:01 GMT", 404, None),
    ],
)
def test_dates_fit_each_other_and_the_status(sunset, status, code):
    """A sunset is not earlier than the deprecation, and once it has passed the resource is 410."""
    links = ("Link", '<https://api.example/v2/posts>; rel="successor-version"')
    assert codes(DEPRECATED, ("Sunset", sunset), links, status=status) == ([code] if code else [])


def test_an_end_without_a_deprecation():
    """A sunset alone leaves open whether one may still build on the resource; once it is gone that is no question."""
    assert codes(SUNSET) == ["sunset-without-deprecation"]
    assert codes(SUNSET, ("Link", "</v2>; rel=latest-version"), status=410) == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("https://api.example/guide; rel=deprecation", "link-malformed"),
        ("<a> <b>; rel=deprecation", "link-malformed"),
        ("<a>; rel=deprecation b", "link-malformed"),
        ('<a>; rel="deprecation', "link-malformed"),
        ("<a>; rel=", "link-malformed"),
        ("<a b>; rel=deprecation", "link-target"),
        ("<a%2>; rel=deprecation", "link-target"),
        ("<https://[>; rel=deprecation", "link-target"),
        ("<a>", "link-without-rel"),
        ('<a>; title="rel=deprecation"', "link-without-rel"),
        ("<a>; rel=up; rel=deprecation", "link-repeated-rel"),
        ("<a>; rel=deprecation; type=text/html", "link-unquoted"),
        ('<a>; rel="deprecation, sunset"', "link-malformed-rel"),
        ('<a>; rel=" "', "link-malformed-rel"),
    ],
)
def test_link_keeps_to_its_grammar(value, code):
    """What RFC 8288 does not allow is an error, also where lenient readers get by."""
    (finding,) = findings(("Link", value))
    assert (finding.code, finding.severity, finding.header) == (code, "error", "Link")
    assert finding.section.startswith("RFC 8288, section 3")


def test_links_of_several_headers_with_several_types():
    """Links are read from every header, with all types of their first `rel`, and targets are resolved."""
    headers = [
        ("Link", '<../v2/posts?page=2>; rel="next successor-version", <#end>; rel=sunset; rel=deprecation'),
        ("Link", '</openapi.json>; type="Application/JSON; v=1"; rel=service-desc, </next>; rel=next'),
        ("Link", '</other>; rel=deprecation; anchor="/v1/users"'),
    ]
    links = announcement_of(headers, base_url=URL).links
    assert [(link.target, link.relations, link.type) for link in links] == [
        ("https://api.example/v2/posts?page=2", ("next", "successor-version"), ""),
        ("https://api.example/v1/posts?page=2#end", ("sunset",), ""),
        ("https://api.example/openapi.json", ("service-desc",), "application/json"),
    ]


@pytest.mark.parametrize(
    ("link", "code", "severity"),
    [
        ("<https://api.example/v1/posts?page=2#x>; rel=successor-version", "successor-is-itself", "error"),
        ("<>; rel=successor-version", "successor-is-itself", "error"),
        ('</a>; rel=deprecation; type="application/json"', "deprecation-not-for-people", "warning"),
        ('</a>; rel="deprecation service-desc"; type="text/html"', "service-desc-not-for-programs", "warning"),
        ("<http://api.example/guide>; rel=deprecation", "link-insecure", "warning"),
        ("<//api.example/guide>; rel=up", "deprecated-without-link", "warning"),
        ('</a>; rel=deprecation; anchor="/v1/users"', "deprecated-without-link", "warning"),
        ('</a>; rel="deprecation deprecated"', "link-unknown-rel", "warning"),
    ],
)
def test_links_lead_where_they_should(link, code, severity):
    """A deprecation leads somewhere, to the right kind of thing, and not back to itself."""
    assert [(found.code, found.severity) for found in findings(DEPRECATED, ("Link", link))] == [(code, severity)]


def test_gone_without_a_successor():
    """410 names what takes its place, deprecated or not; a guide alone does not."""
    assert codes(status=410) == ["gone-without-successor"]
    assert codes(DEPRECATED, GUIDE, status=410) == ["gone-without-successor"]
    assert codes(("Link", "</v2/posts>; rel=successor-version"), status=410) == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Warning", '299 - "deprecated"', "warning-obsolete"),
        ("X-API-Deprecation-Date", "2023-06-30", "header-nonstandard"),
        ("x-sunset", "2024-06-30", "header-nonstandard"),
        ("Deprecated", "yes", "header-nonstandard"),
        ("X-Request-ID", "sunset", None),
    ],
)
def test_headers_of_earlier_days(name, value, code):
    """What was in use before the RFCs is remarked on, once."""
    found = findings((name, value), (name, value))
    assert [(f.code, f.severity) for f in found] == ([(code, "warning")] if code else [])


HEADERS = st.tuples(
    st.sampled_from(["Deprecation", "Sunset", "Link"]),
    st.one_of(
        st.text(),
        st.text('<>;,= "\\abrel@/:?#%[]'),
        st.from_regex(r"@?-?[0-9]{1,20}(\.[0-9])?"),
        st.datetimes().map(str),
        st.from_regex(r'<[a-z/:]*>; ?rel="?[a-z -]*"?(; ?[a-z*]+(=("[^"]*"|[a-z/]+))?)*'),
    ),
)


@given(st.lists(HEADERS, max_size=4), st.sampled_from([200, 404, 410]), st.sampled_from([URL, "", "http://[::1]/x"]))
def test_nothing_that_is_sent_makes_it_fail(headers, status, url):
    """Any header values at all give findings, each of one printable line, and never an exception."""
    for finding in check_headers(headers, status=status, at=NOW, base_url=url):
        assert finding.message.isprintable()
        assert finding.header.isprintable()


def test_check_says_what_it_read():
    """In order: exit status 0, with the dates and links that were found, and one request made."""
    with Announcer(IN_ORDER) as api:
        done = tandem("lifecycle", "check", f"{api.url}/v1/posts", "--at", "2024-03-01")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"{api.url}/v1/posts answered 200",
        "  deprecation: 2023-06-30 23:59:59 UTC",
        "  sunset: 2024-06-30 23:59:59 UTC",
        "  deprecation: https://api.example/guide",
        "nothing wrong",
    ]
    assert [seen[:2] for seen in api.seen] == [("GET", "/v1/posts")]


def test_check_of_an_api_that_says_nothing():
    """No announcement is in order, and said to be none."""
    with Announcer() as api:
        done = tandem("lifecycle", "check", api.url)
    assert done == (0, f"{api.url} answered 200\n  announces nothing\nnothing wrong\n", "")


def test_check_finds_errors():
    """An error is exit status 1 and two lines: what to do, and who says so. Every header line is seen."""
    with Announcer([*IN_ORDER, SUNSET, ("Warning", "299 - x")]) as api:
        done = tandem("lifecycle", "check", api.url, "--at", "2024-03-01")
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines()[-5:] == [
        "error: Sunset: sent 2 times; send one date, since clients take any of them or none",
        "  sunset-repeated; RFC 9110, section 5.3",
        "warning: Warning: the header is obsolete and clients ignore it; send Deprecation and Link",
        "  warning-obsolete; RFC 9111, section 5.5",
        "errors: 1, warnings: 1",
    ]


def test_check_judges_as_of_a_moment():
    """A warning alone is exit status 0; the clock is the one that --at gives, else the real one."""
    with Announcer(IN_ORDER) as api:
        results = [tandem("lifecycle", "check", api.url, *at) for at in ((), ("--at", "2024-06-30T23:59:58Z"))]
    assert [(done.code, "sunset-passed" in done.out) for done in results] == [(0, True), (0, False)]


def test_check_for_programs():
    """--format json has the same, for programs."""
    with Announcer([("Deprecation", "true"), SUNSET], status=410) as api:
        done = tandem("lifecycle", "check", api.url, "--format", "json")
    answer = json.loads(done.out)
    assert done.code == 1
    assert [(f["code"], f["severity"]) for f in answer.pop("findings")] == [
        ("deprecation-true", "error"),
        ("gone-without-successor", "warning"),
    ]
    sunset = "2024-06-30T23:59:59+00:00"
    assert answer == {"url": api.url, "status": 410, "deprecation": None, "sunset": sunset, "links": []}


def test_check_sends_what_it_is_told_to():
    """--method and --header make the request; a redirect is judged itself and not followed."""
    with Announcer([("Location", "/elsewhere"), ("Deprecation", "true")], status=307) as api:
        options = ("--method", "POST", "--header", "Authorization: Bearer t", "--header", "X-A:b")
        done = tandem("lifecycle", "check", f"{api.url}/a", *options)
        assert tandem("lifecycle", "check", f"{api.url}/b").code == done.code == 1
    (method, path, headers), second = api.seen
    assert (method, path, headers["Authorization"], headers["X-A"]) == ("POST", "/a", "Bearer t", "b")
    assert second[:2] == ("GET", "/b")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ftp://api.example/",),
        ("api.example",),
        ("http://api.example/a b",),
        ("http://",),
        ("http://127.0.0.1:1/",),
        ("http://api.example/", "--at", "soon"),
        ("http://api.example/", "--header", "none"),
        ("http://api.example/", "--header", "A: b\nC: d"),
        ("http://api.example/", "--method", "G ET"),
    ],
)
def test_check_refuses_in_one_line(arguments):
    """What cannot be asked, or does not answer, is one line and exit status 2."""
    done = tandem("lifecycle", "check", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("tandem: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("reply", [b"220 mail.example ESMTP\r\n", b""])
def test_check_of_what_speaks_no_http(reply):
    """A server that answers with something else, or hangs up, is one line and exit status 2, in its own process too."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(reply)
            connection.close()

        Thread(target=answer, daemon=True).start()
        done = tandem_process("lifecycle", "check", f"http://127.0.0.1:{server.getsockname()[1]}/")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("tandem: http://127.0.0.1")
    assert done.err.count("\n") == 1
