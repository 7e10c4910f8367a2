"""`feeder review`: what waits for a person to look at it."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from feeder import config, own_labels, person
from feeder import review as reviews
from feeder.bundle import Bundle
from feeder.cli.output import examples, local, note, out, percent, say, table, write_json
from feeder.cli.pictures import small, write_sheet
from feeder.cli.review_session import Session
from feeder.cli.wiring import open_bundle, open_vocabulary
from feeder.clock import Clock
from feeder.config import Settings
from feeder.corrections import NOT_A_BIRD, UNKNOWN, Answer, find
from feeder.domain import Kind, Label
from feeder.judgement_log import JudgementLog
from feeder.log_records import waiting_record
from feeder.naming import every_label, new_label
from feeder.places import where
from feeder.review_log import MOST_COUNTED, ReviewLog, Waiting, Why

_IDS = click.argument("media_ids", metavar="ID...", nargs=-1, required=True, type=click.IntRange(1))
_SAMPLED = click.option(
    "--sampled", is_flag=True, help="These frames were drawn by `feeder review --sample`."
)
_ALL_FRAMES = click.option(
    "--all-frames", is_flag=True, help="Every frame that its camera has of the same species, too."
)


@click.group(
    invoke_without_command=True,
    epilog=examples(
        "feeder review                       # asks, on a terminal; lists, in a pipe",
        "feeder review --list --uncertain    # the least certain sightings, too",
        "feeder review --sample 100          # frames drawn at random, for `feeder calibrate`",
        "feeder review confirm 1742 1743",
        'feeder review correct 1744 --species "Eurasian Siskin"',
        "feeder review block 1750            # that species is never to be named again",
    ),
)
@click.option("--deployment", help="One camera only.")
@click.option("--uncertain", is_flag=True, help="Also the least certain sightings.")
@click.option(
    "--sample", type=click.IntRange(1), metavar="N", help="Instead: N frames drawn at random."
)
@click.option(
    "--days",
    default=14,
    show_default=True,
    type=click.IntRange(1, 36500),
    help="How far back rare and uncertain sightings and samples are looked for.",
)
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), help="Of --uncertain."
)
@click.option(
    "--sheet",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the pictures to an HTML file that needs nothing beside it.",
)
@click.option("--list", "only_list", is_flag=True, help="List, and ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, times in UTC.")
@click.pass_context
def review(
    context: click.Context,
    deployment: str | None,
    uncertain: bool,
    sample: int | None,
    days: int,
    limit: int,
    sheet: Path | None,
    only_list: bool,
    as_json: bool,
) -> None:
    """Goes through the species that are new or rare at a camera, and whatever else needs a person.

    A species waits here from its first sighting until a person has confirmed one of its frames;
    its sightings are logged all the while. Species that the log had before this release count as
    known. ID is a frame's number; `feeder review --list` shows it.
    """
    if context.invoked_subcommand is not None:
        return
    settings = config.load(context.obj)
    cameras = [one.name for one in settings.deployments]
    if deployment is not None and deployment not in cameras:
        raise click.BadParameter(f"there are: {', '.join(cameras)}", param_hint="--deployment")
    bundle = open_bundle(settings)
    vocabulary = open_vocabulary(settings, bundle)
    since = Clock().now() - timedelta(days=days)
    with ReviewLog(settings.database) as log:
        if sample is not None:
            waiting = log.sample(since, sample, bundle.digest, deployment)
        else:
            waiting = reviews.waiting(
                log, vocabulary, since, deployment, uncertain=limit if uncertain else 0
            )
        pictures = where(settings, [one.media_id for one in waiting])
        if sheet is not None:
            _write(sheet, waiting, pictures, settings)
        if as_json:
            write_json([waiting_record(one, pictures[one.media_id]) for one in waiting])
        elif not waiting:
            say("Nothing waits for you.")
        elif only_list or sheet is not None or not (out.is_terminal and sys.stdin.isatty()):
            _list(waiting, pictures, settings)
        else:
            with JudgementLog.open(settings.database) as judgements:
                Session(
                    log,
                    judgements,
                    every_label(settings),
                    person.name(),
                    block=lambda name: _block(settings, bundle, name),
                    picture_of=lambda one: where(settings, [one.media_id])[one.media_id],
                    zones={one.name: one.zone for one in settings.deployments},
                ).run(waiting)


@review.command("confirm", epilog=examples("feeder review confirm 1742 1743"))
@_IDS
@_SAMPLED
@click.pass_obj
def confirm(path: Path, media_ids: tuple[int, ...], sampled: bool) -> None:
    """Says that the log is right about frames; their species are known from then on."""
    settings = config.load(path)
    said: dict[Answer, list[Waiting]] = {}
    for one in _chosen(settings, media_ids, sampled=sampled):
        said.setdefault(reviews.confirmed(one), []).append(one)
    _record(settings, [(frames, answer) for answer, frames in said.items()])


@review.command(
    "correct",
    epilog=examples('feeder review correct 1744 --species "Eurasian Siskin" --all-frames'),
)
@_IDS
@click.option("--species", required=True, help="Any name of a label: `feeder labels list`.")
@click.option("--new", is_flag=True, help="A bird that no label has the name of.")
@_ALL_FRAMES
@_SAMPLED
@click.pass_obj
def correct(
    path: Path,
    media_ids: tuple[int, ...],
    species: str,
    new: bool,
    all_frames: bool,
    sampled: bool,
) -> None:
    """Says what frames show instead."""
    settings = config.load(path)
    known = every_label(settings)
    label = new_label(Label(species, Kind.BIRD), known) if new else find(species, known)
    _say_of_all(settings, media_ids, Answer.of(label), all_frames, sampled)


@review.command("unknown", epilog=examples("feeder review unknown 1744"))
@_IDS
@_ALL_FRAMES
@_SAMPLED
@click.pass_obj
def unknown(path: Path, media_ids: tuple[int, ...], all_frames: bool, sampled: bool) -> None:
    """Says that nobody can tell what frames show."""
    _say_of_all(config.load(path), media_ids, UNKNOWN, all_frames, sampled)


@review.command("not-a-bird", epilog=examples("feeder review not-a-bird 1744 --all-frames"))
@_IDS
@_ALL_FRAMES
@_SAMPLED
@click.pass_obj
def not_a_bird(path: Path, media_ids: tuple[int, ...], all_frames: bool, sampled: bool) -> None:
    """Says that frames show no animal; a squirrel is a label, for `correct`."""
    _say_of_all(config.load(path), media_ids, NOT_A_BIRD, all_frames, sampled)


@review.command("block", epilog=examples("feeder review block 1750"))
@_IDS
@click.pass_obj
def block(path: Path, media_ids: tuple[int, ...]) -> None:
    """Keeps the species of frames from being named again, in your label file."""
    settings = config.load(path)
    bundle = open_bundle(settings)
    for name in dict.fromkeys(one.shown for one in _chosen(settings, media_ids)):
        _block(settings, bundle, name)


def _chosen(
    settings: Settings, media_ids: Sequence[int], *, sampled: bool = False
) -> list[Waiting]:
    with ReviewLog(settings.database) as log:
        return log.get(media_ids, Why.SAMPLE if sampled else Why.CHOSEN)


def _say_of_all(
    settings: Settings,
    media_ids: tuple[int, ...],
    answer: Answer,
    all_frames: bool,
    sampled: bool,
) -> None:
    chosen = _chosen(settings, media_ids, sampled=sampled)
    said: list[tuple[Sequence[Waiting], Answer]] = [(chosen, answer)]
    if all_frames:
        with ReviewLog(settings.database) as log:
            more = {
                media_id
                for one in chosen
                if one.label is not None
                for media_id in log.frames(one.deployment, one.label.name)
            } - {one.media_id for one in chosen}
            if more:  # apart, for they were not drawn
                said.append((log.get(sorted(more), Why.CHOSEN), answer))
    _record(settings, said)


def _record(settings: Settings, said: Sequence[tuple[Sequence[Waiting], Answer]]) -> None:
    with JudgementLog.open(settings.database) as judgements:
        for frames, answer in said:
            ids = [one.media_id for one in frames]
            reviews.record(judgements, answer, ids, person=person.name(), why=frames[0].why)
            for one in frames:
                say(f"{one.media_id}  {one.shown}: {answer.words}")


def _block(settings: Settings, bundle: Bundle, name: str) -> None:
    base = open_vocabulary(settings, bundle, own=False)
    label = own_labels.block(settings.own_labels, name, base)
    say(f"blocked {label.name} in {settings.own_labels}")
    note("  A running daemon takes it up at SIGHUP; `feeder relabel` judges the past without it.")


def _list(waiting: Sequence[Waiting], pictures: dict[int, Path | None], settings: Settings) -> None:
    zones = {one.name: one.zone for one in settings.deployments}
    table(
        (
            "id",
            "species",
            "camera",
            "why",
            "since",
            "frames",
            "probability",
            "runner-up",
            "picture",
        ),
        (
            (
                one.media_id,
                one.shown,
                one.deployment,
                one.why.value,
                local(one.first_seen, zones.get(one.deployment)),
                f"{one.frames}{'+' * (one.frames == MOST_COUNTED)}",
                percent(one.probability),
                one.runners_up[0][0] if one.runners_up else "",
                pictures[one.media_id] or "gone",
            )
            for one in waiting
        ),
    )


def _write(
    sheet: Path, waiting: Sequence[Waiting], pictures: dict[int, Path | None], settings: Settings
) -> None:
    zones = {one.name: one.zone for one in settings.deployments}
    sections: dict[str, list[tuple[str, str]]] = {}
    for one in waiting:
        path = pictures[one.media_id]
        lines = [
            f"{one.shown} {percent(one.probability)}, {one.frames} frames",
            f"frame {one.media_id}, {local(one.captured_at, zones.get(one.deployment))}",
            *(f"or {name} {percent(share)}" for name, share in one.runners_up[:2]),
        ]
        heading = f"{one.deployment}: {one.why.value}"
        sections.setdefault(heading, []).append(("\n".join(lines), small(path)))
    write_sheet(sheet, "Waiting for review", list(sections.items()))
