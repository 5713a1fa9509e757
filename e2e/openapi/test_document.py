"""The document itself."""

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from service import MODES, ORGANISATIONS, ROOT, SHIPPED, access_table


@pytest.fixture(scope="module")
def document(service):
    """The document as it is served."""
    answer = service.ask("GET", "/openapi.json")
    assert answer.status == 200
    return answer.json()


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


@pytest.mark.parametrize("break_it", [
    lambda document: document["info"].pop("title"),
    lambda document: document["paths"]["/v1/Logins"]["get"]["responses"]["200"].pop("description"),
    lambda document: document["paths"]["/v1/Login/{CvrNummer}"]["put"]["parameters"].pop(0),
    lambda document: document["components"]["schemas"]["CvrNummer"].update(type="number of sorts"),
], ids=["no title", "an answer without description", "a segment of the path undeclared", "an unknown type"])
def test_the_validator_sees_a_document_that_is_not(document, break_it):
    broken = json.loads(json.dumps(document))
    break_it(broken)
    with pytest.raises(OpenAPIValidationError):
        OpenAPIV31SpecValidator(broken).validate()


def test_the_copy_under_docs_is_the_same(document):
    assert document == json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))


def test_it_tells_the_table_of_access_that_is_loaded(document):
    published = {operation["operationId"]: operation["x-tilladte-organisationer"]
            for path in document["paths"].values() for operation in path.values()}
    for method, rows in access_table(SHIPPED).items():
        expected = {row: [mode for mode in MODES if mode in rows[row]] for row in ORGANISATIONS if rows[row]}
        assert published.pop(method) == expected
    assert not published
