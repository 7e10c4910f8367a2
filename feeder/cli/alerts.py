"""`feeder alerts`: whether messages arrive, and which there would have been."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from feeder import config, visit_history
from feeder.alerts import apprise_service
from feeder.alerts.alert_log import AlertLog
from feeder.alerts.alerts import quiet_hours, rules_of
from feeder.alerts.earlier_visits import last_before
from feeder.alerts.replay import Replayed, replay
from feeder.alerts.rules import Outcome, Rules, Sort
from feeder.cli.output import examples, local, note, percent, table, write_json
from feeder.cli.selection import Selection, known_vocabulary, select, selecting
from feeder.config import Settings
from feeder.domain import Visit
from feeder.errors import FeederError
from feeder.records import visit_record
from feeder.sighting_log import SightingLog
from feeder.visit_history import VisitQuery

TITLE = "Feeder: a test"
BODY = "Messages of your bird feeder arrive here."


@click.group(epilog=examples("feeder alerts test", "feeder alerts show --since yesterday"))
def alerts() -> None:
    """Messages to phones, as [alerts] in config.toml says.

    The daemon sends them by itself once `send_to` is set; `feeder announce` does so by hand.
    """


@alerts.command(epilog=examples("feeder alerts test", "feeder alerts test --json"))
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def test(path: Path, as_json: bool) -> None:
    """Sends a test message to each service and says what happened; exit 1 if one did not take it.

    Of a URL, which holds a secret, no more is shown than its place and the service's name.
    """
    settings = config.load(path)
    services, wrong = apprise_service.usable(settings)
    if not services and not wrong:
        raise FeederError(
            "Nobody is to be told.", 'Set `send_to` under [alerts]: ["ntfy://a-topic-of-yours"].'
        )
    found: list[dict[str, Any]] = [
        {"service": None, "is_sent": False, "reason": str(error)} for error in wrong
    ]
    for target in services:
        said = apprise_service.send(target, TITLE, BODY)
        found.append({"service": target.name, "is_sent": not said, "reason": said or None})
    if as_json:
        write_json(found)
    else:
        rows = [(one["service"] or "", "sent" if one["is_sent"] else "failed", one["reason"] or "")
                for one in found]  # fmt: skip
        table(("service", "test message", "reason"), rows)
    if not all(one["is_sent"] for one in found):
        raise SystemExit(1)


@alerts.command(
    epilog=examples(
        "feeder alerts show --since yesterday",
        "feeder alerts show --since 2026-05-01 --all",
        "feeder alerts show --since today --json",
    )
)
@selecting
@click.option("--all", "every", is_flag=True, help="Show also the visits that nobody is told of.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, times in UTC.")
@click.pass_obj
def show(
    path: Path,
    since: str | None,
    until: str | None,
    species: str | None,
    deployment: str | None,
    every: bool,
    as_json: bool,
) -> None:
    """Shows which messages about visits there would have been; nothing is sent.

    It replays the log by [alerts] as it is now, oldest first, each visit as if told of when it
    began: what is usual, not sure enough or not asked for, what quiet hours hold back, what is too
    much for an hour. Empty feeders and stalled cameras are not replayed. Without --since it begins
    with yesterday.
    """
    settings = config.load(path)
    vocabulary = known_vocabulary(settings)
    chosen = select(settings, vocabulary, since or "yesterday", until, species, deployment)
    rules = rules_of(settings, vocabulary)
    found = [
        one for one in _replayed(settings, rules, chosen) if _is_chosen(one.judged.visit, chosen)
    ]
    if as_json:
        write_json([_record(one) for one in found if every or one.title])
        return
    if not found:
        chosen.say_none("visits")
        return
    shown = [one for one in found if every or one.title]
    if shown:
        table(
            ("time", "species", "camera", "confidence", "told", "message"),
            [_row(one, chosen) for one in shown],
        )
    counted = Counter(one.judged.outcome for one in found)
    waiting = sum(bool(one.waits_for) for one in found)
    note(
        f"{len(found)} visits: {counted[Outcome.TOLD]} told ({waiting} of them in a digest), "
        f"{counted[Outcome.USUAL]} usual, {counted[Outcome.UNSURE]} not sure enough, "
        f"{counted[Outcome.NOT_ASKED]} not asked for"
    )


def _replayed(settings: Settings, rules: Rules, chosen: Selection) -> list[Replayed]:
    log = SightingLog(settings.database)
    known = AlertLog(settings.database)
    gap, alike = settings.visits.gap, rules.groups or {}
    # Of all cameras and species: what one is depends on the others.
    query = VisitQuery(chosen.since, chosen.until, begun=True)
    newest_first = list(visit_history.read(log, gap, alike, query))

    def earlier(visit: Visit) -> Visit | None:
        return last_before(log, gap, alike, visit, rules.confidence)

    return list(
        replay(
            reversed(newest_first),
            rules,
            earlier,
            lambda visit: known.is_rare(visit.label.name, visit.media_ids),
            chosen.zones.get,
            lambda camera: quiet_hours(settings, chosen.zones.get(camera)),
            settings.alerts.most_an_hour,
        )
    )


def _is_chosen(visit: Visit, chosen: Selection) -> bool:
    is_label = chosen.labels is None or visit.label.name in chosen.labels
    return is_label and chosen.deployment in (None, visit.deployment)


def _row(one: Replayed, chosen: Selection) -> tuple[object, ...]:
    visit = one.judged.visit
    zone = chosen.zones.get(visit.deployment)
    told: str = one.judged.outcome
    if one.at is not None:
        told = "at once"
        if one.waits_for:
            told = f"{local(one.at, zone)}, after {one.waits_for}"
    return (
        local(visit.start, zone, trusted=visit.trusted),
        visit.label.name,
        visit.deployment,
        percent(visit.confidence),
        told,
        one.title,
    )


def _record(one: Replayed) -> dict[str, Any]:
    return {
        **visit_record(one.judged.visit),
        "outcome": one.judged.outcome,
        "sorts": [sort for sort in one.judged.sorts if sort is not Sort.VISIT],
        "message": one.title or None,
        "message_at": one.at,
        "waits_for": one.waits_for or None,
    }
