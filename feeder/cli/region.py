"""`feeder region`: which birds are expected where, and from which source that is known."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import numpy as np

from feeder.classifier import Classifier
from feeder.cli.output import examples, note, table, write_json
from feeder.cli.wiring import load_or_default, open_classifier
from feeder.clock import Clock, to_local
from feeder.config import Settings
from feeder.domain import Deployment, Kind
from feeder.errors import ConfigError
from feeder.seasons import MONTHS


@click.command(
    epilog=examples(
        "feeder region", "feeder region --month 11", "feeder region --deployment garden --json"
    )
)
@click.option("--deployment", metavar="NAME", help="This camera alone.")
@click.option("--month", type=click.IntRange(1, 12), help="The middle of this month, not today.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def region(path: Path, deployment: str | None, month: int | None, as_json: bool) -> None:
    """Shows which birds are expected at each camera today, and how that is known.

    "odds" is what a bird that is not expected has its odds against the others multiplied by. It
    is named all the same where the picture is clear enough; only a blocked label never is.
    """
    settings = load_or_default(path)
    cameras = [find_deployment(settings, deployment)] if deployment else settings.deployments
    classifier = open_classifier(settings)
    found = [_described(classifier, camera, month) for camera in cameras]
    if as_json:
        write_json(found)
        return
    for one in found:
        birds = one["birds"]
        count = sum(bird["why"] == "" for bird in birds)
        note(
            f"{one['deployment']}, {one['month']}: {count} of {len(birds)} birds are expected, "
            f"by {one['source']}"
            if one["source"]
            else f"{one['deployment']}: nothing is known of its birds; give it latitude and "
            "longitude, or name a list under [region]"
        )
    table(
        ("deployment", "bird", "odds", "why"),
        [
            (one["deployment"], bird["name"], f"{bird['odds']:.2g}", bird["why"] or "expected")
            for one in found
            for bird in sorted(one["birds"], key=lambda bird: -bird["odds"])
        ],
    )


def find_deployment(settings: Settings, name: str) -> Deployment:
    """The deployment called `name`. Raises ConfigError where there is none."""
    for one in settings.deployments:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in settings.deployments)
    raise ConfigError(f"There is no deployment {name!r}.", f"{settings.path} has: {known}.")


def moment(month: int | None, zone: ZoneInfo | None) -> datetime:
    """The middle of that month of this year where `zone` is; now, without one."""
    now = Clock().now()
    if month is None:
        return now
    return to_local(now, zone).replace(month=month, day=15, hour=12)


def _described(classifier: Classifier, camera: Deployment, month: int | None) -> dict[str, Any]:
    at = moment(month, camera.zone)
    expected = classifier.expectations.get(camera.name)
    context = classifier.context(camera.name, at)
    labels = classifier.labels
    odds = np.ones(len(labels)) if context.log_prior is None else np.exp(context.log_prior)
    why = context.unlikely or ("",) * len(labels)
    return {
        "deployment": camera.name,
        "source": expected.locality.source if expected else "",
        "month": MONTHS[to_local(at, camera.zone).month - 1],
        "birds": [
            {"name": label.name, "odds": float(odds[place]), "why": why[place]}
            for place, label in enumerate(labels)
            if label.kind is Kind.BIRD
        ],
    }
