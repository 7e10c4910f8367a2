"""The API is what its OpenAPI says: tried with requests made up from it, right ones and wrong."""

from datetime import timedelta

import schemathesis
from schemathesis import engine
from schemathesis.engine.events import NonFatalError, ScenarioFinished

from tests.api import V1, client
from tests.sightings import ROBIN, SPARROW
from tests.site import UNKNOWN, Site

# Not `positive_data_acceptance`: which names, cameras and cursors there are, no schema says. Its
# other checks are all made: no 5xx, and no status, type, header or field that is not documented.
CONFIG = """
seed = 1
[headers]
Host = "127.0.0.1"
[generation]
max-examples = 4
database = "none"
[checks.positive_data_acceptance]
enabled = false
[phases.stateful.generation]
max-examples = 4
"""


def test_answers_are_as_described(site: Site) -> None:
    """Over every value at a limit, at random, and in sequences: answers are as documented."""
    for minutes in range(8):
        site.see((ROBIN, SPARROW, UNKNOWN)[minutes % 3], timedelta(minutes=10 * minutes))
    config = schemathesis.Config.from_str(CONFIG)
    wrong: list[str] = []
    asked, tried = 0, set()
    with client(site) as api:
        described = schemathesis.openapi.from_asgi(
            f"{V1}/openapi.json", api.app, config=config, headers={"Host": "127.0.0.1"}
        )
        for told in engine.from_schema(described).execute():
            if isinstance(told, NonFatalError):
                wrong.append(f"{told.label}: {told.value!r}")
            elif isinstance(told, ScenarioFinished):
                tried.add(told.label)
                for case, checks in told.recorder.checks.items():
                    asked += 1
                    failed = [one for one in checks if one.failure_info is not None]
                    command = told.recorder.cases[case].value.as_curl_command() if failed else ""
                    wrong += [f"{one.failure_info.failure}\n{command}" for one in failed]
    assert not wrong, "\n\n".join(wrong)
    operations = {one.ok().label for one in described.get_all_operations()}
    assert tried >= operations and asked > 500
