"""What people write when they ask the log: times and names, turned into what it holds."""

import difflib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from feeder import vocabulary as vocabularies
from feeder.clock import Clock, to_utc
from feeder.domain import UNIDENTIFIED_BIRD, Label
from feeder.errors import FeederError, VocabularyError
from feeder.sighting_log import SightingLog
from feeder.visits import Groups
from feeder.vocabulary import Vocabulary, spelling


class NoSuchTime(FeederError):
    """A text that is no time."""


class NoSuchTag(FeederError):
    """A text that is no attribute with its value."""


def tag(text: str) -> tuple[str, str]:
    """Attribute and value of `behaviour=bathing`. Raises NoSuchTag for anything else."""
    attribute, _, value = (part.strip() for part in text.partition("="))
    if not (attribute and value):
        raise NoSuchTag(f"{text!r} is no tag; write it like behaviour=bathing")
    return attribute, value


def instant(
    text: str, zone: ZoneInfo | None, *, end: bool = False, clock: Clock | None = None
) -> datetime:
    """`today`, `yesterday`, `2026-05-01` or `2026-05-01T06:30`, as an instant in UTC.

    What bears no offset is in `zone`, None for this computer's. With `end`, a day alone means its
    last moment. Raises NoSuchTime for anything else.
    """
    found = _instant(text, zone, end=end, clock=clock)
    # At the ends of the calendar there is no room for other zones' clocks.
    if not 1 < found.year < 9999:
        raise NoSuchTime(f"{text!r} is no time that a picture could be of")
    return found


def _instant(text: str, zone: ZoneInfo | None, *, end: bool, clock: Clock | None) -> datetime:
    today = (clock or Clock()).now().astimezone(zone).date()
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
        return moment.astimezone(UTC) if moment.tzinfo else to_utc(moment, zone)
    except (ValueError, OverflowError):
        raise NoSuchTime(
            f"{text!r} is no time; write today, yesterday, 2026-05-01 or 2026-05-01T06:30"
        ) from None


def groups(vocabulary: Vocabulary | None) -> Groups:
    """The vocabulary's groups, each with its members; none without one."""
    return vocabularies.members(vocabulary) if vocabulary else {}


def called(text: str, vocabulary: Vocabulary | None, log: SightingLog | None) -> frozenset[str]:
    """The names under which the log may have what people call `text`.

    A name, alias, scientific name or code of any vocabulary there was, in any spelling; then
    whatever else that label was called. `log` is None where there is none yet. Raises
    VocabularyError for a name that nothing is called.
    """
    known: dict[str, list[Label]] = {}
    current: list[Label] = []
    if vocabulary is not None:
        current = [*vocabulary.labels, *(group.label for group in vocabulary.groups)]
    for label in (*current, UNIDENTIFIED_BIRD, *(log.labels() if log else ())):
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
