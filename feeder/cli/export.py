"""`feeder export`: visits for spreadsheets, eBird, GBIF, camera-trap tools and others."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import click

from feeder import config, visit_history
from feeder.cli.output import err, examples, note, percent, say, write_json
from feeder.cli.selection import known_vocabulary, peeked, select, selecting
from feeder.clock import Clock
from feeder.config import Settings
from feeder.domain import Visit
from feeder.export_log import ExportLog
from feeder.exports import camtrap_dp, darwin_core, datasette, ebird, inaturalist, tables
from feeder.exports.claims import Account, Form, Reason, Rules, claims
from feeder.exports.pictures import Pictures
from feeder.exports.places import places
from feeder.exports.source import Source
from feeder.exports.whole import ExportError, refuse_existing
from feeder.picture_log import PictureLog
from feeder.places import Places
from feeder.query_terms import groups
from feeder.sighting_log import SightingLog
from feeder.visit_history import VisitQuery

Write = Callable[[Source], list[Path]]

TARGET = click.Path(path_type=Path)


@dataclass(frozen=True)
class Asked:
    """What the options that all formats share say."""

    config: Path
    since: str | None
    until: str | None
    species: str | None
    deployment: str | None
    confidence: float | None
    confirmed: bool
    decimals: int | None
    force: bool
    as_json: bool


@click.group(
    epilog=examples(
        "feeder export csv visits.csv --since 2026-01-01",
        "feeder export ebird may.csv --since 2026-05-01 --until 2026-05-31 --confirmed",
        "feeder export camtrap-dp package/ --pictures",
        "feeder export datasette visits.db && datasette visits.db -m visits.metadata.json",
    )
)
def export() -> None:
    """Writes visits for a spreadsheet, eBird, GBIF and others.

    A visit is claimed where a person confirmed it or its mean probability is at least `confidence`
    under [export] in config.toml. People are never exported, nor visits at times that nobody
    vouches for; nobody counts individuals, so a visit means at least one. What is left out is
    counted. Coordinates are rounded to `decimals`.

    A visit belongs to the day on which it began, so two periods side by side share none. A file is
    written completely or not at all.
    """


def claiming(name: str, *lines: str) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a function the command of a format, with the options that all formats share.

    `lines` are examples of it.
    """
    options = (
        click.option(
            "--confidence",
            type=click.FloatRange(0, 1),
            help="Instead of what [export] says: the least mean probability.",
        ),
        click.option("--confirmed", is_flag=True, help="Only visits that a person confirmed."),
        click.option(
            "--decimals",
            type=click.IntRange(0, 6),
            help="Instead of what [export] says: decimals of latitude and longitude.",
        ),
        click.option("--force", is_flag=True, help="Replace what is there."),
        click.option("--json", "as_json", is_flag=True, help="Say as JSON what was written."),
        click.pass_obj,
    )

    def made(write: Callable[..., None]) -> click.Command:
        run = reduce(lambda inner, option: option(inner), reversed(options), _asking(write))
        return export.command(name, epilog=examples(*lines))(selecting(run))

    return made


def _asking(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the shared options as one `Asked`."""

    def run(path: Path, **chosen: Any) -> None:
        for target in chosen.keys() & {"file", "folder"}:
            chosen[target] = Path(os.path.abspath(chosen[target]))
        shared = {key: chosen.pop(key) for key in Asked.__dataclass_fields__ if key in chosen}
        command(Asked(config=path, **shared), **chosen)

    run.__doc__ = command.__doc__
    run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    return run


@claiming("csv", "feeder export csv visits.csv", "feeder export csv frames.csv --frames")
@click.argument("file", type=TARGET)
@click.option("--frames", is_flag=True, help="The frames of those visits, a row each.")
def to_csv(asked: Asked, file: Path, frames: bool) -> None:
    """Writes visits as CSV, newest first.

    A name that a spreadsheet would compute, because it begins with = + - or @, gets an apostrophe
    before it.
    """
    _export(asked, file, "csv", tables.FORM, lambda one: tables.write_csv(file, one, frames=frames))


@claiming("parquet", "feeder export parquet visits.parquet --since 2026-01-01")
@click.argument("file", type=TARGET)
@click.option("--frames", is_flag=True, help="The frames of those visits, a row each.")
def to_parquet(asked: Asked, file: Path, frames: bool) -> None:
    """Writes visits as Apache Parquet; needs pyarrow."""

    def write(source: Source) -> list[Path]:
        return tables.write_parquet(file, source, frames=frames)

    _export(asked, file, "parquet", tables.FORM, write)


@claiming("ebird", "feeder export ebird may.csv --since 2026-05-01 --until 2026-05-31 --confirmed")
@click.argument("file", type=TARGET)
def to_ebird(asked: Asked, file: Path) -> None:
    """Writes checklists in eBird's Record Format (Extended).

    One checklist a camera and day: Incidental and incomplete, with X for present, for nobody
    watched or counted. Upload it on eBird under Submit, Import Data, to an account that is not your
    own: what a camera saw is no sighting of yours. Beyond 1 MB it goes on in FILE-2 and so on.
    `country` and `state` under [export] spare questions.
    """
    _export(asked, file, "ebird", ebird.FORM, lambda one: ebird.write(file, one, force=asked.force))


@claiming("darwin-core", "feeder export darwin-core visits.zip --decimals 3")
@click.argument("file", type=TARGET)
def to_darwin_core(asked: Asked, file: Path) -> None:
    """Writes a Darwin Core archive, as GBIF takes it.

    A zip of occurrences with basisOfRecord MachineObservation. What was not told apart to a species
    is there as its genus or class. `license` under [export] is what GBIF asks for.
    """
    _export(asked, file, "darwin-core", darwin_core.FORM, lambda one: darwin_core.write(file, one))


@claiming(
    "camtrap-dp",
    "feeder export camtrap-dp package --pictures",
    "frictionless validate package/datapackage.json",
)
@click.argument("folder", type=TARGET)
@click.option("--pictures", is_flag=True, help="Copy the pictures, without their metadata.")
def to_camtrap_dp(asked: Asked, folder: Path, pictures: bool) -> None:
    """Writes a Camera Trap Data Package (Camtrap DP 1.0).

    A folder with the tables deployments, media and observations. Cameras need latitude and
    longitude. Pictures that may show somebody are never copied.
    """
    settings = config.load(asked.config)

    def write(source: Source) -> list[Path]:
        if not pictures:
            return camtrap_dp.write(folder, source)
        log = PictureLog.open(settings.database, writable=False)
        try:
            return camtrap_dp.write(folder, source, pictures=_pictures(settings, log))
        finally:
            log.close()

    _export(asked, folder, "camtrap-dp", camtrap_dp.FORM, write, marker=camtrap_dp.DESCRIPTOR)


@claiming("inaturalist", "feeder export inaturalist may.csv --since 2026-05-01 --confirmed")
@click.argument("file", type=TARGET)
@click.option(
    "--geoprivacy",
    type=click.Choice(["open", "obscured", "private"]),
    default="obscured",
    show_default=True,
    help="Who sees where it was.",
)
@click.option(
    "--rows",
    type=click.IntRange(1),
    default=inaturalist.MOST_ROWS,
    show_default=True,
    help="Rows in a file; more go into FILE-2 and so on.",
)
def to_inaturalist(asked: Asked, file: Path, geoprivacy: inaturalist.Geoprivacy, rows: int) -> None:
    """Writes the CSV that iNaturalist imports.

    Only what was told apart to a species. iNaturalist is for what people stand for, and wants
    pictures: use --confirmed, and add the best ones by hand.
    """

    def write(source: Source) -> list[Path]:
        return inaturalist.write(
            file, source, geoprivacy=geoprivacy, most_rows=rows, force=asked.force
        )

    _export(asked, file, "inaturalist", inaturalist.FORM, write)


@claiming(
    "datasette", "feeder export datasette visits.db", "datasette visits.db -m visits.metadata.json"
)
@click.argument("file", type=TARGET)
@click.option("--coordinates", is_flag=True, help="Tell where cameras are, rounded.")
def to_datasette(asked: Asked, file: Path, coordinates: bool) -> None:
    """Writes an SQLite database to publish, as Datasette does.

    Tables visit, sighting, species and deployment, and beside it a metadata file with titles, units
    and facets. It holds no file names, no people, and coordinates only where asked.
    """
    refuse_existing(datasette.metadata_path(file), force=asked.force)

    def write(source: Source) -> list[Path]:
        return datasette.write(file, source, coordinates=coordinates)

    _export(asked, file, "datasette", datasette.FORM, write)


def _pictures(settings: Settings, log: PictureLog) -> Pictures:
    limits = settings.frames
    return Pictures(
        log,
        Places.of(settings),
        max_bytes=int(limits.max_megabytes * 1e6),
        max_pixels=int(limits.max_megapixels * 1e6),
    )


def _export(
    asked: Asked, target: Path, what: str, form: Form, write: Write, *, marker: str = ""
) -> None:
    """Writes the visits that were asked about to `target`, and says what was written."""
    refuse_existing(target, force=asked.force, marker=marker)
    settings = config.load(asked.config)
    _refuse_own(target, settings)
    vocabulary = known_vocabulary(settings)
    chosen = select(settings, vocabulary, asked.since, asked.until, asked.species, asked.deployment)
    said = settings.export
    least = said.confidence if asked.confidence is None else asked.confidence
    rules = Rules(least, asked.confirmed)
    decimals = said.decimals if asked.decimals is None else asked.decimals
    alike, account = groups(vocabulary), Account()
    query = VisitQuery(chosen.since, chosen.until, chosen.labels, asked.deployment, begun=True)
    files: list[Path] = []
    with ExportLog(settings.database) as log:
        where = places(settings, log.cameras(), chosen.zones, decimals)
        read = visit_history.read(SightingLog(settings.database), settings.visits.gap, alike, query)
        found = peeked(claims(_shown(read), where, alike, form, rules, account))
        if found is not None:
            about = {
                name: place for name, place in where.items() if asked.deployment in (None, name)
            }
            files = write(Source(found, log, about, said, account, Clock().now()))
    if asked.as_json:
        write_json(_as_json(what, files, account))
    else:
        _say(files, account, rules)


def _refuse_own(target: Path, settings: Settings) -> None:
    """Raises ExportError for what Feeder itself keeps, and where it looks for pictures."""
    for own in (settings.database, settings.path, settings.own_labels):
        if target.exists() and own.exists() and target.samefile(own):
            raise ExportError(f"{target} is what Feeder itself keeps.", "Name another file.")
    inside = Path(os.path.realpath(target)).parents
    for folder in Places.of(settings).roots:
        if Path(os.path.realpath(folder)) in inside:
            raise ExportError(
                f"{target} lies in {folder}, where pictures would be taken for new ones.",
                "Name another place.",
            )


def _shown(visits: Iterator[Visit]) -> Iterator[Visit]:
    """The visits, with a word on how far they have been read."""
    with err.status("reading the log") as status:
        for number, visit in enumerate(visits):
            if number % 500 == 0:
                status.update(f"{number} visits, back to {visit.start:%Y-%m-%d}")
            yield visit


def _as_json(what: str, files: list[Path], account: Account) -> dict[str, Any]:
    return {
        "format": what,
        "files": files,
        "visits": account.visits,
        "confirmed": account.confirmed,
        "rows": account.rows,
        "left_out": {
            reason.name.lower().replace("_", "-"): count
            for reason, count in account.left_out.items()
        },
        "notes": account.notes,
    }


def _say(files: list[Path], account: Account, rules: Rules) -> None:
    for file in files:
        say(f"written: {file}")
    if files:
        rows = ", ".join(f"{count} {name}" for name, count in account.rows.items())
        confirmed = f"{account.confirmed} of them confirmed by a person"
        say(f"{_visits(account.visits)}, {confirmed}; rows: {rows}")
    else:
        note("There is nothing to write: no visit then may be claimed.")
    for reason, count in account.left_out.most_common():
        least = f" (less than {percent(rules.confidence)})" if reason is Reason.UNSURE else ""
        say(f"left out: {_visits(count)} {reason}{least}")
    for remark in account.notes:
        say(remark)


def _visits(count: int) -> str:
    return "1 visit" if count == 1 else f"{count} visits"
