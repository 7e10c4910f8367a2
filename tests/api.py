"""The API on a garden, asked without a network."""

from typing import Any

from fastapi.testclient import TestClient

from feeder.cli.selection import known_vocabulary
from feeder.clock import Clock
from feeder.opening import open_classifier
from feeder.web.app import create_app
from feeder.web.desk import Desk
from tests.site import Site
from tests.web_app import UNLIMITED

V1 = "/api/v1"


def client(site: Site, clock: Clock | None = None) -> TestClient:
    """The application on this garden, with its real log and model, however often it is asked."""
    desk = Desk(site.settings, known_vocabulary, open_classifier, clock or Clock())
    return TestClient(create_app(desk, rates=UNLIMITED), "http://127.0.0.1")


def got(api: TestClient, path: str, status: int = 200, **parameters: Any) -> Any:
    """What the API answers to a GET."""
    answer = api.get(f"{V1}/{path}", params=parameters)
    assert answer.status_code == status, answer.text
    return answer.json()


def every(api: TestClient, path: str, **parameters: Any) -> list[Any]:
    """The items of all pages, by following `next`."""
    page = got(api, path, **parameters)
    items = list(page["items"])
    while page["next"] is not None:
        answer = api.get(page["next"])
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
    return items
