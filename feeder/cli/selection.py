"""Which sightings or visits a command is about: the options that several share."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from itertools import chain
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from feeder import vocabulary as vocabularies
from feeder.cli.output import note
from feeder.cli.wiring import open_bundle, open_vocabulary
from feeder.clock import to_utc
from feeder.config import Settings
from feeder.domain import UNIDENTIFIED_BIRD, Label
from feeder.errors import FeederError, VocabularyError
from feeder.sighting_log import SightingLog
from feeder.visits import Groups
from feeder.vocabulary import Vocabulary, spelling

Row = TypeVar("Row")


WHEN = """

    WHEN is `today`, `yesterday`, `2026-05-01` or `2026-05-01T06:30`, in the zone of the
    deployment (of the first one without --deployment).
    """


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --since, --until, --species and --deployment to a command, and what they take."""
    command.__doc__ = (command.__doc__ or "").rstrip() + WHEN
    options = (
        click.option("--since", metavar="WHEN", help="From this day or time on."),
        click.option("--until", metavar="WHEN", help="Up to this time, or to the end of this day."),
        click.option("--species", help="Common or scientific name, alias or eBird code."),
        click.option("--deployment", help="One camera only."),
    )
    return reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def writing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --json and --csv to a command, of which one at most may be given."""
    for form in ("csv", "json"):
        command = click.option(
            f"--{form}",
            f"as_{form}",
            is_flag=True,
            callback=_alone,
            help=f"Write {form.upper()}, times in UTC.",
        )(command)
    return command


def _alone(context: click.Context, _: click.Parameter, chosen: bool) -> bool:
    if chosen and (context.params.get("as_json") or context.params.get("as_csv")):
        raise click.UsageError("--json and --csv are two forms of one answer; choose one.")
    return chosen


def peeked(rows: Iterator[Row]) -> Iterator[Row] | None:
    """The same rows, None where there are none."""
    for first in rows:
        return chain([first], rows)
    return None


@dataclass(frozen=True)
class Selection:
    """What the shared options chose.

    `zones` are those of all cameras, configured now or in the log; `labels` the names to look for,
    None for all; `since` and `until` instants in UTC.
    """

    since: datetime | None
    until: datetime | None
    labels: frozenset[str] | None
    species: str | None
    deployment: str | None
    zones: dict[str, ZoneInfo | None]

    def say_none(self, what: str) -> None:
        """Says beside the answer that it is empty."""
        named = f" of {self.species!r}" if self.species else ""
        when = " then" if self.since or self.until else ""
        where = f" at {self.deployment}" if self.deployment else ""
        note(f"There are no {what}{named}{where}{when}.")


def select(
    settings: Settings,
    vocabulary: Vocabulary | None,
    since: str | None,
    until: str | None,
    species: str | None,
    deployment: str | None,
) -> Selection:
    """Reads the shared options; `vocabulary` knows what species are called.

    Raises click.BadParameter for a time or camera that means nothing, and VocabularyError for a
    name that nothing is called.
    """
    log = SightingLog(settings.database)
    configured = {one.name: one.zone for one in settings.deployments}
    zones = {**(log.zones() if log.path.exists() else {}), **configured}
    if deployment is not None and deployment not in zones:
        raise click.BadParameter(f"there are: {', '.join(zones)}", param_hint="--deployment")
    zone = zones[deployment or settings.deployments[0].name]
    return Selection(
        instant(since, zone, "--since") if since else None,
        instant(until, zone, "--until", end=True) if until else None,
        _called(species, vocabulary, log) if species else None,
        species,
        deployment,
        zones,
    )


def instant(text: str, zone: ZoneInfo | None, option: str, *, end: bool = False) -> datetime:
    """What the user wrote as a UTC instant; with `end`, a day alone means its last moment."""
    today = datetime.now(UTC).astimezone(zone).date()
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        day = named.get(text) or date.fromisoformat(text)
        if end:
            day += timedelta(days=1)
        return to_utc(datetime.combine(day, time()), zone)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no time; write today, yesterday, 2026-05-01 or 2026-05-01T06:30",
            param_hint=option,
        ) from None
    return moment.astimezone(UTC) if moment.tzinfo else to_utc(moment, zone)


def known_vocabulary(settings: Settings) -> Vocabulary | None:
    """The configured vocabulary; None where it is refused: the log can be read without it."""
    try:
        return open_vocabulary(settings, open_bundle(settings))
    except FeederError as error:
        note(f"without a vocabulary, so that no look-alikes are known: {error}")
        return None


def groups(vocabulary: Vocabulary | None) -> Groups:
    """The vocabulary's groups, each with its members; none without one."""
    return vocabularies.members(vocabulary) if vocabulary else {}


def _called(text: str, vocabulary: Vocabulary | None, log: SightingLog) -> frozenset[str]:
    """The names under which the log may have what the user calls `text`.

    A name, alias, scientific name or code of any vocabulary there was, in any spelling; then
    whatever else that label was called.
    """
    known: dict[str, list[Label]] = {}
    current: list[Label] = []
    if vocabulary is not None:
        current = [*vocabulary.labels, *(group.label for group in vocabulary.groups)]
    for label in (*current, UNIDENTIFIED_BIRD, *log.labels()):
        known.setdefault(label.name, []).append(label)
    wanted = spelling(text)
    meant = [
        label
        for labels in known.values()
        for label in labels
        if wanted in map(spelling, vocabularies.names(label))
    ]
    if not meant:
        raise VocabularyError(
            f"Nothing is called {text!r} here, in the vocabulary or in the log."
            f"{_close(wanted, list(known))}",
            "`feeder labels list` shows the names.",
        )
    also = {spelling(name) for label in meant for name in (label.name, *label.aliases)}
    return frozenset(name for name in known if spelling(name) in also)


def _close(wanted: str, names: Sequence[str]) -> str:
    """` Did you mean X or Y?`, or ""."""
    containing = [name for name in names if wanted in spelling(name)]
    close = containing or difflib.get_close_matches(wanted.title(), names, n=2)
    return f" Did you mean {' or '.join(map(repr, close[:3]))}?" if close else ""
