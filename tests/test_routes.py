"""Walks over every route of every version: documents, authentication, replies."""

import importlib
import itertools
from typing import get_args, get_origin, get_type_hints

import pytest
from fastapi.routing import iter_route_contexts
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api import VERSIONS
from app.main import create_app
from app.versioning import Reply
from app.versioning.sections import served_routes
from tests.conftest import make_settings

versions = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)


def promised(version):
    """What the version's own tests say of its operations."""
    return importlib.import_module(f"tests.{version.name}.operations")


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """An application for looking at: nothing is asked of its database."""
    return create_app(make_settings(f"sqlite:///{tmp_path_factory.mktemp('described')}/none.db"))


def operations(document):
    """(method, path, operation) of a document."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


@versions
def test_document_is_valid_openapi_3_1(described, version):
    """A validator that knows the specification finds nothing wrong with the document."""
    document = described.state.installed.documents[version.name]
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


@versions
def test_document_says_whose_it_is(described, version):
    """Licence, contact, servers and a description of every tag are there."""
    document = described.state.installed.documents[version.name]
    assert document["info"]["license"]["identifier"] == "MIT"
    assert document["info"]["contact"]["name"]
    assert document["servers"] == [{"url": "/", "description": "The server this document came from."}]
    used = {tag for *_, operation in operations(document) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]}


@versions
def test_document_holds_the_served_routes_of_this_version_alone(described, version):
    """What is documented is what is served under the prefix, no more and no less."""
    served = {
        (method, path)
        for context in served_routes(described)
        if version.owns(path := context.path or "") and not path.endswith(("/docs", "/openapi.json"))
        for method in context.methods or ()
    }
    documented = {(method, path) for method, path, _ in operations(described.state.installed.documents[version.name])}
    assert documented == served


@versions
def test_operation_ids_are_stable(described, version):
    """Generated clients name their methods after these."""
    found = sorted(op["operationId"] for *_, op in operations(described.state.installed.documents[version.name]))
    assert found == promised(version).OPERATION_IDS


@versions
def test_every_operation_documents_its_refusals(described, version):
    """401 with a token, 422 with input, 413 with a body, 500 and 503 everywhere, each in the version's form."""
    for method, path, operation in operations(described.state.installed.documents[version.name]):
        expected = {"500", "503"}
        expected |= {"401"} if operation.get("security") else set()
        read = any(parameter["in"] != "header" for parameter in operation.get("parameters", ()))
        expected |= {"422"} if read or "requestBody" in operation else set()
        expected |= {"413"} if "requestBody" in operation else set()
        assert expected <= set(operation["responses"]), f"{method} {path}"
        for status, response in operation["responses"].items():
            assert response["description"], f"{method} {path} {status}"
            if status >= "400" and not (path.startswith(f"{version.prefix}/auth") and status == "400"):
                assert list(response["content"]) == [version.errors.media_type], f"{method} {path} {status}"


@versions
def test_every_body_has_an_example(described, version):
    """Whoever fills in a request finds a value for every field it needs."""
    document = described.state.installed.documents[version.name]
    schemas = document["components"]["schemas"]
    for *_, operation in operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for body in bodies:
            for media in body["content"].values():
                for form in media["schema"].get("oneOf", [media["schema"]]):
                    model = schemas[form["$ref"].rsplit("/")[-1]] if "$ref" in form else form
                    fields = [model["properties"][name] for name in model.get("required", [])]
                    assert all(field.keys() & {"examples", "const", "enum"} for field in fields), model


@versions
def test_routes_reply_with_the_model_they_document(version):
    """`Reply[X]` in the signature, which mypy checks, is `response_model=X`, which the document is made from."""
    for context in iter_route_contexts(version.router.routes):
        annotated = get_type_hints(context.endpoint)["return"]
        if get_origin(annotated) is Reply:
            assert get_args(annotated) == (context.response_model,), context.name


@versions
def test_without_a_token_only_the_open_operations_answer(client, version):
    """Every other operation is 401, in the version's form, whatever the path and the body hold."""
    for method, path, operation in operations(client.app.state.installed.documents[version.name]):
        reply = client.request(method, path.replace("{post_id}", "1").replace("{user_id}", "1"))
        open_to_all = operation["operationId"] in promised(version).OPEN_TO_ALL
        assert (reply.status_code != 401) == open_to_all, f"{method} {path}: {reply.status_code}"
        if not open_to_all:
            assert reply.headers["www-authenticate"] == "Bearer"
            assert reply.headers["content-type"] == version.errors.media_type


@versions
def test_a_bad_token_is_refused_wherever_a_token_may_be_sent(client, version):
    """An operation that takes a token never falls back to treating its sender as nobody."""
    for method, path, operation in operations(client.app.state.installed.documents[version.name]):
        if "security" in operation:
            for value in ("Bearer nonsense", "Bearer", "Basic dTpw", "nonsense"):
                target = path.replace("{post_id}", "1").replace("{user_id}", "1")
                reply = client.request(method, target, headers={"Authorization": value})
                assert reply.status_code == 401, f"{method} {path} {value}"


def test_no_two_versions_share_a_name():
    """A version's name is its label everywhere."""
    for one, other in itertools.combinations(VERSIONS, 2):
        assert one.name != other.name
