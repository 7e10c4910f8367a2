"""What Home Assistant is told of the feeder, so that its entities appear by themselves; pure.

Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery, device discovery (since
2024.11), and the pages of its platforms sensor.mqtt, binary_sensor.mqtt, image.mqtt, event.mqtt and
device_trigger.mqtt.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from feeder.mqtt.topics import CameraTopics, Topics
from feeder.plain_text import plain

ONLINE, OFFLINE = "online", "offline"
"""The payloads of availability, which are Home Assistant's own defaults."""

ON, OFF = "ON", "OFF"
"""The payloads of a binary sensor, likewise."""

BEGAN, ENDED = "began", "ended"
"""What happens to a visit."""

Components = dict[str, dict[str, Any]]


def birth_topic(prefix: str) -> str:
    """Where Home Assistant says that it is there."""
    return f"{prefix}/status"


def discovery_topic(prefix: str, topics: Topics) -> str:
    """Where this feeder's entities are announced."""
    return f"{prefix}/device/{topics.slug}/config"


def announcement(
    topics: Topics, cameras: Sequence[CameraTopics], *, thumbnails: bool, version: str
) -> dict[str, Any]:
    """The payload of device discovery."""
    components = _of_the_feeder(topics, thumbnails=thumbnails)
    for camera in cameras:
        components |= _of_a_camera(camera)
    for key, component in components.items():
        if component["platform"] != "device_automation":  # which is no entity
            component["unique_id"] = f"{topics.slug}_{key}"
    return {
        "device": {
            "identifiers": [topics.slug],
            "name": "Bird feeder" if topics.base == "feeder" else f"Bird feeder {topics.base}",
            "manufacturer": "Feeder",
            "model": "AI bird feeder",
            "sw_version": version,
        },
        "origin": {"name": "Feeder", "sw_version": version},
        "availability": [{"topic": topics.status}],
        "components": components,
    }


def without(payload: Mapping[str, Any], retained: bytes) -> dict[str, Any] | None:
    """What removes the entities that an earlier announcement had and `payload` has not.

    It is sent before `payload`; None where there are none. A removed component is its platform and
    nothing else.
    """
    try:
        before = json.loads(retained)["components"]
        gone = {
            key: {"platform": str(component["platform"])}
            for key, component in before.items()
            if key not in payload["components"]
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # somebody else's
    return {**payload, "components": {**payload["components"], **gone}} if gone else None


def _of_the_feeder(topics: Topics, *, thumbnails: bool) -> Components:
    found: Components = {
        "last_visit": _visit("Last visit", topics.last_visit),
        "visits_today": {
            "platform": "sensor",
            "name": "Visits today",
            "icon": "mdi:counter",
            "state_topic": topics.today,
            "value_template": "{{ value_json.visits }}",
            "json_attributes_topic": topics.today,
            "state_class": "measurement",
            "unit_of_measurement": "visits",
        },
        "species_today": {
            "platform": "sensor",
            "name": "Species today",
            "icon": "mdi:bird",
            "state_topic": topics.today,
            "value_template": "{{ value_json.species }}",
            "state_class": "measurement",
            "unit_of_measurement": "species",
        },
        "health": {
            "platform": "binary_sensor",
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.health,
            "value_template": "{{ value_json.problem }}",
            "json_attributes_topic": topics.health,
        },
        "frames_waiting": {
            "platform": "sensor",
            "name": "Frames waiting",
            "icon": "mdi:tray-full",
            "entity_category": "diagnostic",
            "state_topic": topics.health,
            "value_template": "{{ value_json.waiting }}",
            "state_class": "measurement",
            "unit_of_measurement": "frames",
        },
        "visit": {
            "platform": "event",
            "name": "Visit",
            "icon": "mdi:bird",
            "state_topic": topics.visit,
            "event_types": [BEGAN, ENDED],
        },
    }
    for what in (BEGAN, ENDED):
        found[f"trigger_{what}"] = {
            "platform": "device_automation",
            "automation_type": "trigger",
            "type": "visit",
            "subtype": what,
            "topic": topics.visit,
            "value_template": "{{ value_json.event_type }}",
            "payload": what,
        }
    if thumbnails:
        found["thumbnail"] = {
            "platform": "image",
            "name": "Last visit",
            "image_topic": topics.thumbnail,
            "content_type": "image/jpeg",
        }
    return found


def _of_a_camera(camera: CameraTopics) -> Components:
    name = plain(camera.name)
    return {
        f"camera_{camera.slug}_last_visit": _visit(f"Last visit {name}", camera.last_visit),
        f"camera_{camera.slug}_feeder_empty": {
            "platform": "binary_sensor",
            "name": f"Feeder empty {name}",
            "device_class": "problem",
            "icon": "mdi:seed-outline",
            "state_topic": camera.feeder,
            "value_template": "{{ value_json.empty }}",
            "json_attributes_topic": camera.feeder,
        },
        f"camera_{camera.slug}_newest_frame": {
            "platform": "sensor",
            "name": f"Newest frame {name}",
            "device_class": "timestamp",  # shown as its age
            "entity_category": "diagnostic",
            "state_topic": camera.newest_frame,
        },
    }


def _visit(name: str, topic: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "icon": "mdi:bird",
        "state_topic": topic,
        # A state has 255 characters at most.
        "value_template": "{{ (value_json.label | string)[:255] }}",
        "json_attributes_topic": topic,
    }
