"""`feeder report`: a day or a week as one page, to send on."""

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from rich.progress import track

from feeder import config, visit_history
from feeder.cli.output import err, examples, note, say, write_json
from feeder.cli.selection import known_vocabulary, select
from feeder.clock import Clock, to_local
from feeder.config import Settings
from feeder.errors import FeederError
from feeder.query_terms import NoSuchTime, groups
from feeder.records import visit_record
from feeder.report import best_shots, drawing, html_page, periods
from feeder.report.best_shots import Best
from feeder.report.earlier import look_back
from feeder.report.gathering import CLEAR, Report, gather
from feeder.report.shot_log import ShotLog
from feeder.sighting_log import SightingLog
from feeder.visit_history import VisitQuery
from feeder.visit_statistics import ABSENCE

ENDINGS = {".html": "HTML", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}

DEFAULT = ".png"
"""What a chat shows at once."""


@click.command(
    epilog=examples(
        "feeder report                                  # yesterday before noon, else today",
        "feeder report --day 2026-05-01 --output may-day.html",
        "feeder report --week --output ~/week.png --force",
        "0 20 * * *  cd ~/feeder && .venv/bin/feeder report --day today -o today.png --force",
        "            # that line in `crontab -e` makes one every evening",
    )
)
@click.option(
    "--day",
    is_flag=False,
    flag_value="",
    metavar="[DATE]",
    help="A day: today, yesterday, 2026-05-01.",
)
@click.option(
    "--week",
    is_flag=False,
    flag_value="",
    metavar="[DATE]",
    help="The week, Monday to Sunday, that this day lies in.",
)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="FILE.png, FILE.jpg or FILE.html; left out: feeder-DATE.png in this folder.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option("--deployment", help="One camera only.")
@click.option(
    "--json", "as_json", is_flag=True, help="Write JSON, times in UTC; a file only with --output."
)
@click.pass_obj
def report(
    path: Path,
    day: str | None,
    week: str | None,
    output: Path | None,
    force: bool,
    deployment: str | None,
    as_json: bool,
) -> None:
    """Makes one page of a day or a week, to send on: the best shots, who came, and when.

    Without DATE, and without --day or --week, it is about yesterday before noon and about today
    from then on. A favorite (`feeder favorite`) is shown before all other shots; else the surest,
    largest and sharpest. People are never shown, and no place or camera data from the files is in
    the page. The place in its title is `location` under [export], else the camera's name.

    A species is new where it was not seen before, or not for 60 days. A `?` stands after a name
    that nobody is sure of: in none of its visits was its mean probability a half, or were two
    frames clear (90 %).
    """
    if day is not None and week is not None:
        raise click.UsageError("--day and --week are two reports; choose one.")
    settings = config.load(path)
    vocabulary = known_vocabulary(settings)
    zones = select(settings, None, None, None, None, deployment).zones
    zone = zones[deployment or settings.deployments[0].name]
    now = Clock().now()
    try:
        period = periods.chosen(week or day or "", week=week is not None, now=now, zone=zone)
    except NoSuchTime as error:
        option = "--day" if week is None else "--week"
        raise click.BadParameter(str(error), param_hint=option) from None
    if output is None and not as_json:
        output = Path(period.stem + DEFAULT)
    if output is not None:
        _check(output, force)
    alike = groups(vocabulary)
    log = SightingLog(settings.database)
    query = VisitQuery(period.since, period.until, deployment=deployment, begun=True)
    with err.status("reading the log"), ShotLog(settings.database) as frames:
        gathered = gather(
            visit_history.read(log, settings.visits.gap, alike, query),
            period,
            _place(settings, deployment),
            zones.get,
            to_local(now, zone).date(),
            lambda visit: frames.surely(visit.media_ids, visit.label.name, CLEAR),
            lambda names: look_back(log, names, period, ABSENCE, deployment),
            alike,
        )
    guests = track(gathered.guests, "looking at pictures", console=err, transient=True)
    best = best_shots.find(settings, guests)
    if output is not None:
        _write(output, _page(output, gathered, best))
    if as_json:
        write_json(_as_json(gathered, best, output))
    elif output is not None:
        if not gathered.guests:
            note("Nobody came by; the page says so.")
        say(str(output))


def _check(output: Path, force: bool) -> None:
    """Says before long work what will keep the file from being written."""
    if output.suffix.lower() not in ENDINGS:
        raise click.BadParameter(
            f"{output.name!r} does not end in {', '.join(ENDINGS)}", param_hint="--output"
        )
    if not output.absolute().parent.is_dir():
        raise FeederError(f"There is no folder {output.parent} for the page.", "Make it first.")
    if output.exists() and not force:
        raise FeederError(f"{output} is there already.", "--force overwrites it.")


def _page(output: Path, report: Report, best: dict[str, Best]) -> bytes:
    kind = ENDINGS[output.suffix.lower()]
    if kind == "HTML":
        page = html_page.render(report, best, Clock().now())
        return page.encode(errors="backslashreplace")
    written = io.BytesIO()
    image = drawing.draw(report, best)
    image.save(written, kind, optimize=True, **({"quality": 90} if kind == "JPEG" else {}))
    return written.getvalue()


def _write(output: Path, data: bytes) -> None:
    """All of the file or none of it: what sends it on may look at any moment."""
    beside = output.with_name(f".{output.name}.new")
    try:
        beside.write_bytes(data)
        os.replace(beside, output)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise FeederError(
            f"The page cannot be written: {error}.", "Choose another file by --output."
        ) from error


def _place(settings: Settings, deployment: str | None) -> str:
    cameras = [deployment] if deployment else [one.name for one in settings.deployments]
    named = settings.export.location
    if named and deployment and len(settings.deployments) > 1:
        return f"{named}, {deployment}"
    return named or ", ".join(cameras)


def _as_json(report: Report, best: dict[str, Best], output: Path | None) -> dict[str, Any]:
    return {
        "place": report.place,
        "first_day": str(report.period.first),
        "last_day": str(report.period.last),
        "since": report.period.since,
        "until": report.period.until,
        "visits": report.visits,
        "bird_species": report.bird_species,
        "undated": report.undated,
        "days_in_a_row": report.streak,
        "by_hour": list(report.by_hour),
        "species": [
            {
                "label": guest.label.name,
                "scientific_name": guest.label.scientific_name or None,
                "kind": guest.label.kind,
                "is_species": guest.is_species,
                "is_sure": guest.is_sure,
                "first": guest.news or None,
                "best_media_id": shot.shot.media_id if shot else None,
                "picture": shot.file.path if shot else None,
                "visits": [visit_record(visit) for visit in guest.visits],
            }
            for guest in report.guests
            for shot in [best.get(guest.label.name)]
        ],
        "output": output,
    }
