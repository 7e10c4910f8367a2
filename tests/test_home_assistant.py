"""What Home Assistant is told of the entities."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from feeder.mqtt.home_assistant import announcement, discovery_topic, without
from feeder.mqtt.topics import Topics, slug

ENTITY = {"platform", "unique_id", "name", "icon", "entity_category", "device_class"}
DOCUMENTED = {
    "sensor": ENTITY
    | {"state_topic", "value_template", "json_attributes_topic", "state_class"}
    | {"unit_of_measurement"},
    "binary_sensor": ENTITY | {"state_topic", "value_template", "json_attributes_topic"},
    "event": ENTITY | {"state_topic", "event_types"},
    "image": ENTITY | {"image_topic", "content_type"},
    "device_automation": {"platform", "automation_type", "type", "subtype", "topic", "payload"}
    | {"value_template"},
}
"""The options in use, each of which home-assistant.io documents for that MQTT platform."""

REQUIRED = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "event": {"state_topic", "event_types"},
    "image": {"image_topic"},
    "device_automation": {"automation_type", "type", "subtype", "topic"},
}

CLASSES = {"sensor": {"timestamp"}, "binary_sensor": {"problem"}}


def made(base: str = "feeder", *cameras: str, thumbnails: bool = True) -> dict[str, Any]:
    """The announcement of these cameras."""
    topics = Topics(base)
    return announcement(
        topics, [topics.camera(name) for name in cameras], thumbnails=thumbnails, version="1"
    )


def test_every_entity_is_as_documented() -> None:
    """Device discovery: device with identifiers, origin with a name, and of each component a
    platform, an id of its own, what its platform needs and nothing that it does not know."""
    payload = json.loads(json.dumps(made("feeder", "garden", "shed")))
    assert set(payload) == {"device", "origin", "availability", "components"}
    assert payload["device"]["identifiers"] == ["feeder"]
    assert payload["origin"]["name"]
    assert payload["availability"] == [{"topic": "feeder/status"}]
    ids = []
    for component in payload["components"].values():
        platform = component["platform"]
        assert set(component) <= DOCUMENTED[platform], component
        assert REQUIRED[platform] <= set(component)
        assert component.get("device_class") in CLASSES.get(platform, set()) | {None}
        assert component.get("entity_category") in {None, "diagnostic"}
        assert component.get("state_class") in {None, "measurement"}
        assert ("unique_id" in component) == (platform != "device_automation")
        ids += [component["unique_id"]] if "unique_id" in component else []
    assert len(ids) == len(set(ids)) == 7 + 2 * 3


def test_discovery_topics_hold_what_home_assistant_accepts() -> None:
    """`<prefix>/device/<object id>/config`, the id of letters, digits, `_` and `-`."""
    assert (
        discovery_topic("homeassistant", Topics("feeder")) == "homeassistant/device/feeder/config"
    )
    for base in ("birds/feeder", "Füttern & mehr", "x" * 300):
        topic = discovery_topic("homeassistant", Topics(base))
        assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]{1,80}/config", topic)


def test_a_removed_component_is_its_platform_alone() -> None:
    """What the broker still has and the new announcement lacks is taken away by one update."""
    retained = json.dumps(made("feeder", "garden", "shed")).encode()
    payload = made("feeder", "garden", thumbnails=False)
    removal = without(payload, retained)
    assert removal is not None
    gone = {
        key: one for key, one in removal["components"].items() if key not in payload["components"]
    }
    assert gone == {
        "thumbnail": {"platform": "image"},
        "camera_shed_last_visit": {"platform": "sensor"},
        "camera_shed_feeder_empty": {"platform": "binary_sensor"},
        "camera_shed_newest_frame": {"platform": "sensor"},
    }
    assert without(payload, json.dumps(payload).encode()) is None


@pytest.mark.parametrize("retained", [b"", b"\xff", b"[]", b"{}", b'{"components": {"a": 1}}'])
def test_what_somebody_else_left_there_is_left_alone(retained: bytes) -> None:
    """It is overwritten by the announcement, and tells nothing of what to remove."""
    assert without(made(), retained) is None


def test_two_names_never_share_a_topic() -> None:
    """What a topic must not hold is replaced, and a digest keeps the names apart."""
    names = [
        "garden",
        "Garden",
        "a/b",
        "a_b",
        "a#b",
        "a+b",
        "#",
        "+",
        "\0",
        "ü",
        "\udc80",
        "x" * 99,
    ]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert slugs[0] == "garden"
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,60}", one) for one in slugs)


def test_the_documentation_names_every_topic() -> None:
    """docs/mqtt.md is what people write their automations from."""
    page = (Path(__file__).parents[1] / "docs" / "mqtt.md").read_text(encoding="utf-8")
    topics = Topics("feeder")
    camera = topics.camera("NAME")
    for topic in (
        topics.status, topics.last_visit, topics.today, topics.thumbnail, topics.health,
        camera.last_visit, camera.feeder, camera.newest_frame, topics.visit,
    ):  # fmt: skip
        assert f"| `{topic}` |" in page
