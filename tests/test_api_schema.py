"""The API is what its OpenAPI says: tried with requests made up from it, right ones and wrong."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.api import V1, client
from tests.sightings import ROBIN, SPARROW
from tests.site import UNKNOWN, Site

EXAMPLES = 12
"""Requests of each kind to each operation."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    allow_header_conformance,
]
"""Not that whatever fits the schema is accepted: which names and cameras there are, no schema
says."""


@pytest.fixture(scope="module")
def described(
    tmp_path_factory: pytest.TempPathFactory, tiny_clip: Any
) -> Iterator[tuple[Any, Any]]:
    """The API's OpenAPI, on a garden that may be changed."""
    site = Site(tmp_path_factory.mktemp("fuzzed"), tiny_clip)
    for minutes in range(8):
        site.see((ROBIN, SPARROW, UNKNOWN)[minutes % 3], timedelta(minutes=10 * minutes))
    with client(site) as api:
        yield schemathesis.openapi.from_asgi(f"{V1}/openapi.json", api.app), api
    site.close()


OPERATIONS = [
    "list_visits", "get_visit", "list_sightings", "get_frame", "get_thumbnail", "make_favorite",
    "make_no_favorite", "get_statistics", "list_species", "search_frames", "list_review",
    "list_unknowns", "list_corrections", "make_correction", "undo_correction", "list_labels",
    "identify_picture", "list_deployments", "get_feeder_states", "get_health",
]  # fmt: skip


def test_every_operation_is_tried(described: tuple[Any, Any]) -> None:
    """The list below is that of OpenAPI."""
    schema, _ = described
    found = [one.ok().definition.raw["operationId"] for one in schema.get_all_operations()]
    assert sorted(found) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_as_described(described: tuple[Any, Any], name: str) -> None:
    """Whatever is asked, the status, the type and the fields of the answer are documented."""
    schema, _ = described
    operation = schema.find_operation_by_id(name)
    cases = st.one_of(*(operation.as_strategy(mode) for mode in GenerationMode))

    @seed(1)
    @given(cases)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()
