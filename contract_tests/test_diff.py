"""`tandem contract diff`: the corpus, the laws that hold for any two documents, and what the command prints."""

import copy
import json
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api import VERSIONS
from app.main import create_app
from app.settings import load_settings
from app.versioning.contract import ContractError, Format, Inclusion, Verdict, compatible, diff, load, normalise, render
from app.versioning.contract.nodes import Located, escape, find
from app.versioning.contract.schema import Budget
from app.versioning.contract.texts import Texts
from contract_tests.corpus import HERE, cases
from tests.test_cli import tandem

CASES = cases()
KINDS = {
    *("type", "nullable", "enum", "const", "length", "pattern", "format", "range", "multipleOf", "required", "member"),
    *("default", "additionalProperties", "patternProperties", "propertyNames", "items", "prefixItems", "uniqueItems"),
    *("count of items", "count of members", "contains", "allOf", "anyOf", "oneOf", "not", "discriminator", "recursion"),
    *("reference", "readOnly", "writeOnly", "unevaluatedProperties", "dependentRequired", "conditional", "impossible"),
    *("path", "operation", "operationId", "parameter", "parameter schema", "style", "request body", "media type"),
    *("encoding", "status", "reply body", "header", "security", "security scheme", "server", "callback", "link"),
    *("component", "deprecation", "prose", "webhook", "dependentSchemas"),
}


def verdict(changes):
    if any(change.verdict is Verdict.BREAKING for change in changes):
        return "breaking"
    return "compatible" if compatible(changes) else "unprovable"


def compare(old, new, **options):
    return diff(normalise(old), normalise(new), **options)


def differences(left, right, pointer="#"):
    """The pointers at which two documents differ, as deep as both have the same shape."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in left.keys() | right.keys():
            below = f"{pointer}/{escape(key)}"
            yield from differences(left[key], right[key], below) if key in left and key in right else [below]
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right, strict=True)):
            yield from differences(*pair, f"{pointer}/{index}")
    elif left != right:
        yield pointer


# Words that mean nothing without those beside them.
REMAINDERS = ("additionalProperties", "items", "unevaluatedProperties", "minContains", "maxContains", "then", "else")


def is_near(pointer, place):
    """Whether a pointer leads to what was edited, into it, or to what holds it."""
    holder, _, last = pointer.rpartition("/")
    return any(
        one == other or one.startswith(f"{other}/")
        for here in (pointer, *([holder] if last in REMAINDERS else []))
        for one, other in ((here, place), (place, here))
    )


def leads_somewhere(document, pointer):
    """Whether what a pointer names is there; the last step may be a word that is missing and so the reason."""
    return any(find(document, place) for place in (pointer, pointer.rpartition("/")[0]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_the_verdict_is_the_one_expected(case):
    """Each change of the corpus is judged right; whatever breaks says where, whom, and what to do instead."""
    changes = compare(case.old, case.new)
    assert verdict(changes) == case.verdict, [change.what for change in changes]
    edited = set(differences(normalise(case.old), normalise(case.new)))
    for change in changes:
        document = normalise(case.old if change.document == "old" else case.new)
        assert leads_somewhere(document, change.pointer), change.pointer
        if case.kind == "security scheme":  # who calls learns where it is asked for, not where it is defined
            assert change.pointer.endswith("/security")
        else:
            assert any(is_near(change.pointer, place) for place in edited), (change.pointer, edited)
        if change.fails:
            assert change.breaks != "nobody"
            assert change.instead
            assert change.what.count("\n") == 0


def test_the_corpus_is_large_and_even():
    """Every kind is there, both versions of OpenAPI, and about as much that breaks as that does not."""
    assert {case.kind for case in CASES} == KINDS
    assert len(CASES) >= 150
    assert 0.4 < sum(case.verdict == "compatible" for case in CASES) / len(CASES) < 0.6
    assert min(Counter(case.old["openapi"] for case in CASES).values()) > 50
    assert len({(case.kind, case.name) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES[::7], ids=lambda case: f"{case.kind}: {case.name}")
def test_a_document_is_compatible_with_itself(case):
    """Nothing changed, nothing found: for the same object and for a copy of it."""
    assert compare(case.new, case.new) == []
    assert compare(case.new, copy.deepcopy(case.new)) == []


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_our_own_documents_equal_themselves(version, monkeypatch, tmp_path):
    """The documents served compare with themselves without a finding, and with an operation more as compatible."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", "x" * 40)
    document = create_app(load_settings()).state.installed.documents[version.name]
    assert compare(document, document) == []
    grown = copy.deepcopy(document)
    grown["paths"]["/new"] = {"get": {"responses": {"200": {"description": "D"}}}}
    changes = compare(document, grown)
    assert [(change.path, change.verdict) for change in changes] == [("/new", Verdict.COMPATIBLE)]
    assert not compatible(compare(grown, document))


def test_a_change_says_everything_about_itself():
    """Operation, place in the document, sentence, whom it breaks and what to do instead."""
    case = next(case for case in CASES if case.name.startswith("a shared one is narrower"))
    changes = compare(case.old, case.new)
    assert [(change.method, change.path, change.pointer) for change in changes] == [
        ("POST", "/items", "#/components/schemas/NewItem/properties/name/minLength")
    ]
    assert changes[0].what == (
        "request body (application/json): `.name` refuses a string of fewer than 2 characters, which it accepted"
    )
    assert changes[0].breaks == "who sends"
    assert changes[0].instead == "keep accepting it, or ask for less in a new operation or version"


def test_prefixes_are_taken_off_either_side():
    """/v1/things against /v2/things is no removal; a path that merely begins with the same letters stays."""
    document = {"openapi": "3.1.0", "info": {}, "paths": {"/v1/a": {"get": {}}, "/v11": {"get": {}}}}
    other = {"openapi": "3.1.0", "info": {}, "paths": {"/v2/a": {"get": {}}, "/v11": {"get": {}}}}
    assert compare(document, other, prefixes=("/v1", "/v2")) == []
    assert not compatible(compare(document, other))


def test_an_operation_id_matters_to_generated_clients():
    """A renamed operationId is worth a note, and breaks when it is said that clients are generated."""
    case = next(case for case in CASES if case.kind == "operationId")
    assert [change.verdict for change in compare(case.old, case.new)] == [Verdict.NOTE]
    assert not compatible(compare(case.old, case.new, generated_clients=True))


# --- schemas -------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])
SMALL = st.integers(-2, 4)
SIZES = st.integers(0, 3)
TEXTS = st.sampled_from(["", "a", "ab", "abc", "abcd"])
SCALARS = st.one_of(st.none(), st.booleans(), SMALL, st.sampled_from([0.5, 1.5, 2.0]), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def keywords(inner):
    """Any combination of keywords: more of them meet than in documents that people write."""
    optional = {
        "type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=3, unique=True)),
        "enum": st.lists(SCALARS, min_size=1, max_size=3, unique_by=json.dumps),
        "const": SCALARS,
        "minimum": SMALL,
        "exclusiveMaximum": SMALL,
        "maximum": SMALL,
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": SIZES,
        "maxLength": SIZES,
        "pattern": st.sampled_from(["^a", "b$", ""]),
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "minItems": SIZES,
        "maxItems": SIZES,
        "uniqueItems": st.booleans(),
        "properties": st.dictionaries(NAMES, inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
        "additionalProperties": inner,
        "required": st.lists(NAMES, max_size=2, unique=True),
        "maxProperties": SIZES,
        "minProperties": SIZES,
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
    }
    several = st.lists(st.sampled_from(sorted(optional)), max_size=3, unique=True)
    return several.flatmap(lambda names: st.fixed_dictionaries({name: optional[name] for name in names}))


SCHEMAS = st.recursive(
    st.one_of(st.just({}), st.booleans(), st.builds(lambda name: {"type": name}, TYPES)), keywords, max_leaves=6
)
# Most schemas have nothing to do with each other: a second one is made from the first, by leaving a keyword out.
RELATED = SCHEMAS.flatmap(
    lambda schema: st.one_of(
        SCHEMAS.map(lambda other: (schema, other)),
        st.sampled_from(sorted(schema) if isinstance(schema, dict) and schema else [""]).map(
            lambda word: (schema, {k: v for k, v in schema.items() if k != word} if isinstance(schema, dict) else {})
        ),
        SCHEMAS.map(lambda other: (schema, {"anyOf": [other, schema]})),
        SCHEMAS.map(lambda other: ({"allOf": [other, schema]}, schema)),
    )
)


def gaps(a, b, side=None):
    return Inclusion(side).gaps((Located(a, "#/a", {}),), (Located(b, "#/b", {}),))


@settings(max_examples=1_000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(RELATED, st.lists(VALUES, min_size=10, max_size=30))
def test_what_is_included_is_valid(schemas, values):
    """Whenever inclusion says yes, every instance of the first schema is one of the second."""
    a, b = schemas
    if gaps(a, b):
        return
    first, second = jsonschema_rs.Draft202012Validator(a), jsonschema_rs.Draft202012Validator(b)
    for value in values:
        if first.is_valid(value):
            assert second.is_valid(value), (a, b, value)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(SCHEMAS)
def test_a_schema_includes_itself(schema):
    """And so does a copy, whichever way it is asked."""
    assert gaps(schema, schema) == []
    assert gaps(schema, copy.deepcopy(schema), "request") == []
    assert gaps(schema, copy.deepcopy(schema), "reply") == []
    assert gaps(schema, {}) == []


# --- size ----------------------------------------------------------------------------------------------------------


def large(schemas=3_000, operations=2_000, leaf="integer"):
    """A document of several MB whose schemas refer to each other in circles."""
    components = {}
    for index in range(schemas):
        others = [f"#/components/schemas/S{(index * 7 + step) % schemas}" for step in (1, 2, 3)]
        components[f"S{index}"] = {
            "type": "object",
            "description": "prose " * 100,
            "required": ["id"],
            "properties": {
                "id": {"type": leaf if index == schemas // 2 else "integer"},
                "one": {"anyOf": [{"type": "string"}, {"$ref": others[0]}]},
                "many": {"type": "array", "items": {"$ref": others[1]}},
                "next": {"$ref": others[2]},
            },
        }
    content = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}}
    path = {"post": {"requestBody": content, "responses": {"200": {"description": "D", **content}}}}
    paths = {f"/p{index}": copy.deepcopy(path) for index in range(operations)}
    for index, item in enumerate(paths.values()):
        reply: Any = item["post"]["responses"]
        reply["200"]["content"]["application/json"]["schema"] = {"$ref": f"#/components/schemas/S{index % schemas}"}
    return {"openapi": "3.1.0", "info": {}, "paths": paths, "components": {"schemas": components}}


def test_a_large_document_of_circles_is_judged():
    """Several MB, every schema reachable from every other: equal, and with one leaf changed in the midst."""
    old = large()
    assert len(json.dumps(old)) > 3_000_000
    assert compare(old, large()) == []
    changes = compare(large(600, 400), large(600, 400, leaf="number"))
    places = {change.pointer for change in changes}
    assert places == {"#/components/schemas/S300/properties/id/type"}
    assert verdict(changes) == "breaking"


def nested(depth, leaf):
    schema = {"type": leaf}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    content = {"application/json": {"schema": schema}}
    replies = {"200": {"description": "D", "content": content}}
    return {"openapi": "3.1.0", "info": {}, "paths": {"/": {"get": {"responses": replies}}}}


def test_deep_documents_are_judged_or_given_up_but_never_crash():
    """Arrays within each other, deeper than the stack of Python."""
    assert compare(nested(5_000, "integer"), nested(5_000, "integer")) == []
    assert compatible(compare(nested(300, "number"), nested(300, "integer")))
    assert not compatible(compare(nested(300, "integer"), nested(300, "number")))
    assert verdict(compare(nested(2_000, "integer"), nested(2_000, "number"))) == "breaking"


def test_a_comparison_that_is_too_involved_is_given_up():
    """One budget for everything: what it does not reach cannot be proven, and is named; equal texts cost nothing."""
    budget = Budget(50)
    old, new = ({"$ref": "#/components/schemas/S0"} for _ in range(2))
    documents = [normalise(large(100, 1, leaf=leaf)) for leaf in ("integer", "number")]
    judge = Inclusion("reply", Texts(*documents), budget)
    nodes = [
        (Located(schema, f"#/{name}", document),)
        for schema, name, document in zip((old, new), "ab", documents, strict=True)
    ]
    (gap,) = judge.gaps(*nodes)
    assert (gap.proven, gap.pointer_a, gap.pointer_b) == (False, "#/a", "#/b")
    assert judge.gaps(*nodes) == [gap]
    assert Inclusion("reply", Texts(documents[0], documents[0]), budget).gaps(nodes[0], nodes[0]) == []
    assert judge.budget.left <= 0


def test_a_circle_of_alternatives_ends():
    """References that lead back to themselves, alternatives that contain themselves, and many alternatives."""
    schemas: dict[str, Any] = {
        "Self": {"$ref": "#/components/schemas/Self"},
        "Or": {"anyOf": [{"$ref": "#/components/schemas/Or"}, {"type": "string"}, {"$ref": "#/components/schemas/Or"}]},
        "And": {"allOf": [{"$ref": "#/components/schemas/And"}, {"type": "object"}]},
        "Many": {"allOf": [{"anyOf": [{"minLength": n}, {"maxLength": n}]} for n in range(1, 30)]},
        "Lost": {"$ref": "#/nowhere"},
        "Far": {"$ref": "other.json#/x"},
    }
    replies = {
        str(200 + index): {"description": "D", "content": {"a/b": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
        for index, name in enumerate(schemas)
    }
    old: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {},
        "paths": {"/": {"get": {"responses": replies}}},
        "components": {"schemas": schemas},
    }
    assert compare(old, copy.deepcopy(old)) == []
    new = copy.deepcopy(old)
    for name, schema in schemas.items():
        new["components"]["schemas"][name] = {"allOf": [schema, {"minLength": 1}]}
    compare(old, new)
    compare(new, old)


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """An old document, one that is compatible with it, and one that breaks it."""
    case = next(case for case in CASES if case.name.startswith("a new required one"))
    for name, document in (("old", case.old), ("same", case.old), ("new", case.new)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    return tmp_path


def run(*arguments):
    return tandem("contract", "diff", *arguments)


def test_the_exit_status_tells(files):
    """0 when compatible, 1 when not; the text names operation, place, whom and what instead."""
    assert run(files / "old.json", files / "same.json").code == 0
    assert run(HERE / "base.yaml", HERE / "base.yaml").code == 0
    result = run(files / "old.json", files / "new.json")
    assert result.code == 1
    for part in ("not compatible: ", "POST /probe", "#/paths/~1probe/post", "breaks who sends; instead: "):
        assert part in result.out


def test_unusable_input_is_one_line(files):
    """2, one line on standard error, nothing else."""
    (files / "bad.json").write_text('{"openapi": ')
    (files / "bad.yaml").write_text("a: [")
    (files / "swagger.yaml").write_text("swagger: '2.0'")
    (files / "list.json").write_text("[]")
    (files / "next.json").write_text('{"openapi": "4.0.0"}')
    (files / "paths.json").write_text('{"openapi": "3.1.0", "paths": []}')
    (files / "deep.json").write_text("[" * 200_000)
    (files / "binary.json").write_bytes(b"\xff\xfe\x00")
    bad = ["bad.json", "bad.yaml", "swagger.yaml", "list.json", "next.json", "paths.json", "deep.json", "binary.json"]
    for source in (*(files / name for name in [*bad, "missing.json", ""]), "http://127.0.0.1:1/x"):
        result = run(files / "old.json", source)
        assert (result.code, result.out) == (2, ""), source
        assert result.err.startswith("tandem: ")
        assert result.err.count("\n") == 1, result.err


def test_a_document_can_be_an_address(files):
    """What a running service serves can be compared with a file."""
    handler = partial(QuietHandler, directory=str(files))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            base = f"http://127.0.0.1:{server.server_address[1]}"
            assert run(f"{base}/old.json", files / "same.json").code == 0
            assert (
                run(f"{base}/missing.json", files / "same.json").err == f"tandem: {base}/missing.json: answered 404\n"
            )
        finally:
            server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


def test_every_format_is_what_its_reader_expects(files):
    """JSON parses, markdown is a table, GitHub's commands hold one line each."""
    arguments = (files / "old.json", files / "new.json", "--format")
    answer = json.loads(run(*arguments, "json").out)
    assert answer["compatible"] is False
    assert {"method", "path", "pointer", "document", "what", "verdict", "breaks", "instead"} == set(
        answer["changes"][0]
    )
    assert "| operation | change | where | breaks | instead |" in run(*arguments, "markdown").out
    commands = run(*arguments, "github").out.splitlines()
    assert commands[0].startswith("::error title=Breaking::POST /probe: ")
    assert run(*arguments, "xml").code == 2
    assert render([], Format.TEXT) == "compatible: no changes"


def test_prefixes_are_options(files):
    """Once for both, twice for each, and never three times."""
    assert run(files / "old.json", files / "same.json", "--strip-prefix", "/items").code == 0
    assert run(*[files / "old.json"] * 2, *["--strip-prefix", "/v1"] * 3).code == 2


def test_values_stay_values():
    """What looks like a keyword of 3.0 in an example or a default is data, and members may have any name."""
    schema = {"type": "object", "properties": {"example": {"type": "string", "nullable": True}, "nullable": {}}}
    document = {"openapi": "3.0.3", "info": {}, "paths": {}, "components": {"schemas": {"A": schema}}}
    schema["default"] = {"nullable": True}
    read = normalise(document)["components"]["schemas"]["A"]
    assert read["properties"] == {"example": {"type": ["string", "null"]}, "nullable": {}}
    assert read["default"] == {"nullable": True}
    with pytest.raises(ContractError, match="No such file"):
        load("nowhere.json")
