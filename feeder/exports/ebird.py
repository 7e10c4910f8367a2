"""eBird Record Format (Extended): what eBird's "Import Data" takes.

A checklist is one camera's one local day, a line one taxon on it. The format as eBird documents
it: 19 columns in a fixed order, no header, dates MM/DD/YYYY, times HH:MM on the local clock, X for
"present, not counted", at most 1 MB a file; commas and quotation marks within a cell are not
understood. docs/decisions/0022 says why the lists are "Incidental" and incomplete.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from feeder.clock import to_local, to_utc
from feeder.domain import Visit
from feeder.exports import parts
from feeder.exports.cells import bare
from feeder.exports.claims import Claim, Form, Taxon
from feeder.exports.places import Place
from feeder.exports.source import SOFTWARE, Source
from feeder.exports.whole import whole_files

FORM = Form(only_birds=True, only_named=True)

COLUMNS = (
    "Common Name", "Genus", "Species", "Number", "Species Comments", "Location Name", "Latitude",
    "Longitude", "Date", "Start Time", "State/Province", "Country Code", "Protocol",
    "Number of Observers", "Duration", "All observations reported?", "Effort Distance Miles",
    "Effort area acres", "Submission Comments",
)  # fmt: skip

MOST_BYTES = 1_000_000
"""Of a file that eBird takes."""

PROTOCOL = "Incidental"


@dataclass
class _Seen:
    """A taxon on a checklist."""

    taxon: Taxon
    name: str
    visits: int = 0
    confirmed: int = 0
    first: datetime | None = None
    last: datetime | None = None
    surest: float = 0.0

    def add(self, visit: Visit) -> None:
        self.visits += 1
        self.confirmed += visit.is_by_person
        self.first = min(visit.start, self.first or visit.start)
        self.last = max(visit.start, self.last or visit.start)
        self.surest = max(self.surest, visit.confidence)


@dataclass
class _Checklist:
    """What came before a camera on a day; `begins` is its midnight in UTC."""

    place: Place
    day: date
    begins: datetime
    seen: dict[str, _Seen] = field(default_factory=dict)


def write(path: Path, source: Source, *, force: bool = False) -> list[Path]:
    """Writes checklists, the newest day first, in as many files as needed; their paths.

    A checklist is never divided between two. Raises ExportError where a further file is there.
    """
    stale, names = parts.earlier(path, force=force), parts.names(path)
    written: list[Path] = []
    lines = lists = size = 0
    with whole_files(path) as made:
        open_file = None
        try:
            for checklist in _checklists(source.claims):
                text = "".join(_lines(checklist, source))
                data = text.encode("utf-8")
                if open_file is None or size + len(data) > MOST_BYTES:
                    if open_file is not None:
                        open_file.close()
                    written.append(next(names))
                    open_file, size = (made / written[-1].name).open("wb"), 0
                open_file.write(data)
                size += len(data)
                lists += 1
                lines += len(checklist.seen)
        finally:
            if open_file is not None:
                open_file.close()
    parts.remove_stale(stale, written)
    source.account.rows |= {"checklists": lists, "lines": lines}
    return written


def _checklists(claims: Iterator[Claim]) -> Iterator[_Checklist]:
    """Checklists as they are complete: visits come newest first."""
    under_way: dict[str, _Checklist] = {}
    for visit, taxon, place in claims:
        for camera, checklist in list(under_way.items()):
            if visit.start < checklist.begins:
                yield under_way.pop(camera)
        day = to_local(visit.start, place.zone).date()
        if place.camera not in under_way:
            midnight = to_utc(datetime(day.year, day.month, day.day), place.zone)
            under_way[place.camera] = _Checklist(place, day, midnight)
        seen = under_way[place.camera].seen
        key = taxon.verbatim
        seen.setdefault(key, _Seen(taxon, visit.label.name)).add(visit)
    yield from under_way.values()


def _lines(checklist: _Checklist, source: Source) -> Iterator[str]:
    place, said = checklist.place, source.said
    started = min(one.first for one in checklist.seen.values() if one.first is not None)
    latitude, longitude = place.degrees
    for _, one in sorted(checklist.seen.items()):
        common, genus, species = _names(one)
        cells = (
            bare(common),
            bare(genus),
            bare(species),
            "X",
            bare(_species_comment(one, place)),
            bare(place.name),
            latitude,
            longitude,
            f"{checklist.day:%m/%d/%Y}",
            f"{to_local(started, place.zone):%H:%M}",
            said.state or "",
            said.country or "",
            PROTOCOL,
            "1",
            "",  # no duration, distance or area: nobody watched
            "N",
            "",
            "",
            bare(
                f"Automatic camera at a bird feeder; named by software ({SOFTWARE}) and not"
                " watched by anybody unless a species comment says so"
            ),
        )
        yield ",".join(cells) + "\n"


def _names(one: _Seen) -> tuple[str, str, str]:
    """Common name, genus and species as eBird's columns take them.

    A species goes by its scientific name alone: eBird reads common names in the account's own
    language, and turns others down.
    """
    if one.taxon.is_species and not one.taxon.is_group:
        genus, _, species = one.taxon.name.partition(" ")
        return "", genus, species
    if one.taxon.name == "Aves" and not one.taxon.is_group:
        return "bird sp.", "Aves", "sp."
    genus, _, species = one.taxon.verbatim.replace(" / ", "/").partition(" ")
    return one.name, genus, species or "sp."


def _species_comment(one: _Seen, place: Place) -> str:
    assert one.first is not None and one.last is not None
    first, last = (f"{to_local(at, place.zone):%H:%M}" for at in (one.first, one.last))
    when = f"at {first}" if one.visits == 1 else f"{first} to {last}"
    visits = "1 visit" if one.visits == 1 else f"{one.visits} visits"
    who = (
        f"{one.confirmed} confirmed by a person from the pictures"
        if one.confirmed
        else f"named by software alone; probability up to {one.surest:.2f}"
    )
    return f"{visits} {when}; {who}"
