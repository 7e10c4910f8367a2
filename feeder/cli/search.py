"""`feeder search`: the frames most like a text, a photo or another frame."""

from pathlib import Path

import click
from rich.progress import track

from feeder import config
from feeder.cli import pictures
from feeder.cli.output import err, examples, local, note, out, percent, table, write_json
from feeder.cli.selection import known_vocabulary, select, selecting
from feeder.cli.wiring import open_bundle
from feeder.config import Settings
from feeder.domain import Vectors
from feeder.embedding_store import EmbeddingStore
from feeder.log_reader import Query
from feeder.log_records import hit_record
from feeder.places import where
from feeder.search import DEFAULT_LIMIT, Hit, Seeker, of_frame
from feeder.search import search as find
from feeder.search_log import SearchLog


@click.command(
    epilog=examples(
        'feeder search "a bird bathing"                  # on a model that reads text',
        "feeder search --like ~/mystery.jpg              # on every model",
        "feeder search --like-frame 1742 --sheet same.html",
        'feeder search "a fight" --species "European Robin" --since 2026-05-01 --limit 50',
    )
)
@click.argument("text", required=False)
@click.option(
    "--like",
    metavar="PHOTO",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What is most like this picture.",
)
@click.option(
    "--like-frame", metavar="ID", type=click.IntRange(1), help="What is most like this frame."
)
@selecting
@click.option("--limit", default=DEFAULT_LIMIT, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--every", is_flag=True, help="All frames of a burst, not only the likest.")
@click.option(
    "--sheet",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write an HTML page with the pictures, which needs nothing beside it.",
)
@click.option("--pictures", "draw", is_flag=True, help="Draw the pictures in the terminal.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, times in UTC.")
@click.pass_obj
def search(
    path: Path,
    text: str | None,
    like: Path | None,
    like_frame: int | None,
    species: str | None,
    since: str | None,
    until: str | None,
    deployment: str | None,
    limit: int,
    every: bool,
    sheet: Path | None,
    draw: bool,
    as_json: bool,
) -> None:
    """Finds the logged frames most like a TEXT, a photo or another frame.

    It compares embeddings, so frames whose pictures are gone are found, too. Similarity is the
    cosine, 1 at most; what is much depends on the model, and is far less for a text than for a
    picture.
    """
    if [text or None, like, like_frame].count(None) != 2:
        raise click.UsageError("say one of: a TEXT, --like PHOTO, --like-frame ID")
    pictures.check_sheet(sheet)
    settings = config.load(path)
    vocabulary = known_vocabulary(settings) if species else None
    chosen = select(settings, vocabulary, since, until, species, deployment)
    query = Query(
        since=chosen.since,
        until=chosen.until,
        labels=chosen.labels,
        deployment=deployment,
        limit=limit,
    )
    bundle = open_bundle(settings)
    seeker = Seeker(bundle, settings.model.precision, settings.model.threads, settings.cache)
    with SearchLog(settings.database) as log, err.status("searching"):
        vector: Vectors | None = None
        if text is not None:
            vector = seeker.text(text)
        elif like is not None:
            vector = seeker.photo(like)
        store = EmbeddingStore.open(settings.database, bundle.digest, settings.cache)
        left_out = log.with_embedding() - len(store)
        if vector is None:
            assert like_frame is not None
            vector = of_frame(store, log, like_frame, bundle.manifest.name)
        hits = find(store, log, vector, query, every=every, like=like_frame)
    title = text or (f"like {like.name}" if like else f"like frame {like_frame}")
    _show(settings, hits, title, sheet, draw, as_json)
    if left_out:
        note(
            f"{left_out} frames were not searched: they have no embedding of the model "
            f"{bundle.manifest.name}, but another model's."
        )


def _show(
    settings: Settings, hits: list[Hit], title: str, sheet: Path | None, draw: bool, as_json: bool
) -> None:
    zones = {one.name: one.zone for one in settings.deployments}
    found = where(settings, [hit.frame.media_id for hit in hits])
    rows = []
    for hit in hits:
        frame = hit.frame
        rows.append(
            (
                frame.media_id,
                f"{hit.similarity:.3f}",
                local(frame.at, zones.get(frame.deployment), trusted=frame.is_time_trusted),
                frame.said or frame.observation_type.value,
                percent(frame.probability) if frame.said else "",
                frame.deployment,
                pictures.shown_path(found[frame.media_id], frame.file_name),
            )
        )
    if sheet is not None:
        captions = (
            f"{species} {share}\n{time}, {camera}\nframe {media_id}, similarity {similarity}"
            for media_id, similarity, time, species, share, camera, _ in rows
        )
        read = track(hits, "reading pictures", console=err, transient=True)
        shown = [pictures.small(found[hit.frame.media_id]) for hit in read]
        pictures.write_sheet(sheet, title, [("", list(zip(captions, shown, strict=True)))])
    if as_json:
        write_json([hit_record(hit, found[hit.frame.media_id]) for hit in hits])
        return
    columns = ["id", "similarity", "time", "species", "probability", "camera", "picture"]
    if draw and out.is_terminal:
        drawn = pictures.drawn(found)
        table(
            [*columns, ""],
            [(*row, drawn[hit.frame.media_id]) for row, hit in zip(rows, hits, strict=True)],
        )
        return
    if draw:
        note("Pictures are drawn on a terminal only; --sheet FILE.html shows them anywhere.")
    table(columns, rows)
