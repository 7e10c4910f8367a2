"""`feeder unknowns`: what nothing was named on, sorted by likeness, and named at once."""

from pathlib import Path

import click

from feeder import config, person
from feeder import unknowns as sorting
from feeder.cli import pictures
from feeder.cli.output import err, examples, local, note, say, table, write_json
from feeder.cli.wiring import open_bundle
from feeder.config import Settings
from feeder.corrections import find
from feeder.domain import Kind, Label
from feeder.embedding_store import EmbeddingStore
from feeder.judgement_log import JudgementLog
from feeder.log_records import cluster_record
from feeder.naming import every_label, new_label
from feeder.places import where
from feeder.search_log import SearchLog
from feeder.unknowns import Cluster, Unknowns


@click.group(
    invoke_without_command=True,
    epilog=examples(
        "feeder unknowns --sheet unknowns.html    # look at them in a browser",
        'feeder unknowns name 1742 "Eurasian Siskin"',
    ),
)
@click.option(
    "--min-size",
    default=sorting.MIN_SIZE,
    show_default=True,
    type=click.IntRange(2),
    help="The least occasions that make a cluster; a burst is one.",
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0), help="0: all.")
@click.option(
    "--sheet",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write an HTML page with each cluster's most typical pictures and the two least typical.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, times in UTC.")
@click.pass_context
def unknowns(
    context: click.Context, min_size: int, limit: int, sheet: Path | None, as_json: bool
) -> None:
    """Sorts what the model could not name into clusters of pictures that are alike.

    These are frames called `unknown` or "unidentified bird" that no person has judged. ID is the
    frame that stands for a cluster. Name it, and all of the cluster is named. It needs the extra
    `cluster`.
    """
    if context.invoked_subcommand is not None:
        return
    pictures.check_sheet(sheet)
    settings = config.load(context.obj)
    bundle = open_bundle(settings)
    with SearchLog(settings.database) as log, err.status("sorting what is unknown"):
        store = EmbeddingStore.open(settings.database, bundle.digest, settings.cache)
        found = sorting.sort(store, log, min_size)
        sorting.remember(found, log, settings.cache)
    shown = found.clusters[: limit or None]
    if sheet is not None:
        _write_sheet(sheet, shown, settings)
    if as_json:
        write_json([cluster_record(one) for one in shown])
    else:
        table(
            ("id", "frames", "first", "last", "camera", "nearly", "best pictures"),
            (
                (
                    one.media_id,
                    len(one),
                    *_times(one, settings),
                    ", ".join(_cameras(one)),
                    _nearly(one),
                    " ".join(str(each.media_id) for each in one.best),
                )
                for one in shown
            ),
        )
    _account(found, len(shown), bundle.manifest.name)


def _account(found: Unknowns, shown: int, model: str) -> None:
    """What is not in the table, in words."""
    said = f"unknown frames: {found.frames}"
    if found.alone:
        said += f", of which in no cluster: {found.alone}"
    if shown < len(found.clusters):
        said += f"; clusters not listed: {len(found.clusters) - shown} (--limit 0 lists all)"
    if found.too_old:
        said += f"; older ones left out: {found.too_old}"
    if found.not_sorted:
        said += f"; without an embedding of the model {model}: {found.not_sorted}"
    note(said)


def _write_sheet(sheet: Path, shown: tuple[Cluster, ...], settings: Settings) -> None:
    sections = []
    for one in shown:
        first, last = _times(one, settings)
        nearly = f"; nearly {_nearly(one)}" if one.nearly else ""
        heading = f"{one.media_id}: {len(one)} frames, {first} to {last}{nearly}"
        captions = {each.media_id: f"frame {each.media_id}" for each in one.best}
        captions |= {each.media_id: f"frame {each.media_id}, least typical" for each in one.least}
        found = where(settings, list(captions))
        each = [(captions[media_id], pictures.small(path)) for media_id, path in found.items()]
        sections.append((heading, each))
    pictures.write_sheet(sheet, "What is unknown", sections)


def _times(one: Cluster, settings: Settings) -> tuple[str, str]:
    zones = {each.name: each.zone for each in settings.deployments}
    first, last = (
        local(each.at, zones.get(each.deployment), trusted=each.is_time_trusted)
        for each in (one.frames[0], one.frames[-1])
    )
    return first, last


def _cameras(one: Cluster) -> list[str]:
    return sorted({each.deployment for each in one.frames})


def _nearly(one: Cluster) -> str:
    return ", ".join(f"{name} {count}" for name, count in one.nearly)


@unknowns.command(
    "name",
    epilog=examples(
        'feeder unknowns name 1742 "Eurasian Siskin"',
        "feeder unknowns name 1742 eursis             # by any of its names",
        'feeder unknowns name 1742 "Hooded Siskin" --new --scientific "Spinus magellanicus"',
    ),
)
@click.argument("media_id", metavar="ID", type=click.IntRange(1))
@click.argument("name")
@click.option("--new", is_flag=True, help="A name that the vocabulary does not have.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in Kind]),
    default=Kind.BIRD.value,
    show_default=True,
    help="Of a new name.",
)
@click.option("--scientific", default="", help="Scientific name of a new one.")
@click.option("--ebird", default="", help="eBird species code of a new one.")
@click.pass_obj
def name_cluster(
    path: Path, media_id: int, name: str, new: bool, kind: str, scientific: str, ebird: str
) -> None:
    """Names all frames of the cluster that frame ID was last listed in, as one judgement.

    Frames that a person has judged meanwhile keep what that person said; frames that have come
    since are not named.
    """
    settings = config.load(path)
    known = every_label(settings)
    made = Label(name, Kind(kind), scientific, ebird)
    label = new_label(made, known) if new else find(name, known)
    with SearchLog(settings.database) as log:
        listed = sorting.recall(media_id, log, settings.cache)
    chosen = sorting.unjudged(listed)
    with JudgementLog.open(settings.database) as judgements:
        number = sorting.name(judgements, chosen, label, person.name())
    before = len(listed) - len(chosen)
    kept = f"; a person had judged {before} before" if before else ""
    say(f"{len(chosen)} frames are {label.name} now{kept}")
    note(f"`feeder correct --undo {number}` takes it back.")
