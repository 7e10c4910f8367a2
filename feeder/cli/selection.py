"""Which sightings or visits a command is about: the options that several share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import chain
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from feeder import query_terms
from feeder.cli.output import note
from feeder.cli.wiring import open_bundle, open_vocabulary
from feeder.config import Settings
from feeder.errors import FeederError
from feeder.query_terms import NoSuchTime
from feeder.sighting_log import SightingLog
from feeder.vocabulary import Vocabulary

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
        _instant(since, zone, "--since") if since else None,
        _instant(until, zone, "--until", end=True) if until else None,
        query_terms.called(species, vocabulary, log) if species else None,
        species,
        deployment,
        zones,
    )


def _instant(text: str, zone: ZoneInfo | None, option: str, *, end: bool = False) -> datetime:
    try:
        return query_terms.instant(text, zone, end=end)
    except NoSuchTime as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def known_vocabulary(settings: Settings) -> Vocabulary | None:
    """The configured vocabulary; None where it is refused: the log can be read without it."""
    try:
        return open_vocabulary(settings, open_bundle(settings))
    except FeederError as error:
        note(f"without a vocabulary, so that no look-alikes are known: {error}")
        return None
