"""`feeder correct`: what a person sees on frames."""

import sys
from functools import partial
from pathlib import Path

import click
from rich.progress import track

from feeder import config, person, visit_history
from feeder.cli.output import err, examples, local, note, percent, say, table, write_json
from feeder.cli.selection import known_vocabulary, select
from feeder.cli.wiring import open_classifier
from feeder.config import Settings
from feeder.correction_log import Choice, CorrectionLog, Shown
from feeder.corrections import (
    NOT_A_BIRD,
    UNKNOWN,
    Answer,
    counts,
    find,
    undo,
)
from feeder.corrections import (
    correct as keep,
)
from feeder.domain import Kind, Label
from feeder.errors import FeederError
from feeder.judgement_log import JudgementLog, State, What
from feeder.lesson_trial import ENOUGH, Tried, shares, trial
from feeder.log_records import correction_record, judgement_record
from feeder.metrics import Share
from feeder.naming import every_label, new_label
from feeder.query_terms import groups
from feeder.relabel import BY_MACHINE
from feeder.sighting_log import SightingLog
from feeder.vocabulary import Vocabulary


@click.command(
    epilog=examples(
        'feeder correct 1742 1743 --species "Purple Finch"   # ids as `feeder sightings` shows',
        "feeder correct --visit 1742 --species squirrel",
        'feeder correct 1750 --not-a-bird --note "a leaf"',
        'feeder correct --every "House Finch" --since 2026-05-01 --until 2026-05-07 \\',
        '    --species "Purple Finch" --dry-run',
        'feeder correct 1800 --species "Lesser Redpoll" --new --scientific "Acanthis cabaret"',
        "feeder correct --list",
        "feeder correct --undo                               # the newest; or --undo 12",
        "feeder correct --evaluate                           # what they are worth",
    )
)
@click.argument("media_ids", metavar="[ID]...", nargs=-1, type=click.IntRange(1))
@click.option("--visit", metavar="ID", type=click.IntRange(1),
              help="All frames of the visit that this one is of: see `feeder visits`.")  # fmt: skip
@click.option("--every", metavar="NAME", help="Every sighting that is called this now.")
@click.option("--since", metavar="WHEN", help="With --every: from this day or time on.")
@click.option("--until", metavar="WHEN", help="With --every: up to this time, or this day's end.")
@click.option("--deployment", help="With --every: one camera only.")
@click.option("--species", metavar="NAME", help="What it is: any label, by any of its names.")
@click.option("--not-a-bird", is_flag=True,
              help="Nothing of interest is there: `blank` in the log, as in Camtrap DP. A squirrel "
              "or a person is a --species.")  # fmt: skip
@click.option("--unknown", is_flag=True, help="Something is there, and you cannot tell what.")
@click.option("--note", "said", metavar="TEXT", default="", help="Kept as the reason.")
@click.option("--new", is_flag=True, help="NAME is a label that the vocabulary lacks.")
@click.option("--scientific", metavar="NAME", default="", help="With --new: scientific name.")
@click.option("--ebird", metavar="CODE", default="", help="With --new: eBird species code.")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]),
              help="With --new; else bird.")  # fmt: skip
@click.option("--undo", "undone", metavar="[NUMBER]", is_flag=False, flag_value="0",
              type=int, help="Take back the newest correction, or that one.")  # fmt: skip
@click.option("--list", "listed", is_flag=True, help="List the corrections, the newest first.")
@click.option("--evaluate", is_flag=True, help="Say what they are worth, on visits held out.")
@click.option("--dry-run", is_flag=True, help="Show what would be corrected; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, times in UTC.")
@click.pass_obj
def correct(
    path: Path,
    media_ids: tuple[int, ...],
    visit: int | None,
    every: str | None,
    since: str | None,
    until: str | None,
    deployment: str | None,
    species: str | None,
    not_a_bird: bool,
    unknown: bool,
    said: str,
    new: bool,
    scientific: str,
    ebird: str,
    kind: str | None,
    undone: int | None,
    listed: bool,
    evaluate: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Says what frames show, where the log is wrong or unsure.

    Your word counts over the machine's, which stays in the log. Saying what the log says already
    confirms it. Frames that you named are kept by [retention], and teach the labels what they look
    like (`learn_from_corrections` under [model]): a running daemon takes that up within seconds.
    A --new label is recognised once three frames show it.

    WHEN is written as for `feeder sightings`.
    """
    settings = config.load(path)
    _check_one("one of ID..., --visit, --every, --undo, --list or --evaluate",
               [bool(media_ids), visit, every, undone is not None, listed, evaluate])  # fmt: skip
    if undone is not None:
        _undo(settings, undone, as_json=as_json)
    elif listed:
        _list(settings, as_json=as_json)
    elif evaluate:
        _evaluate(settings, as_json=as_json)
    else:
        _check_one("one of --species, --not-a-bird or --unknown", [species, not_a_bird, unknown])
        if (new and species is None) or (not new and (scientific or ebird or kind)):
            raise click.UsageError("--scientific, --ebird and --kind go with --species NAME --new")
        log = CorrectionLog(settings.database)
        known = every_label(settings)
        answer = NOT_A_BIRD if not_a_bird else UNKNOWN
        if species is not None:
            made = Label(species, Kind(kind or "bird"), scientific, ebird)
            answer = Answer.of(new_label(made, known) if new else find(species, known))
        if every is not None:
            frames = log.every(_choice(settings, known, every, since, until, deployment))
        elif since or until or deployment:
            raise click.UsageError("--since, --until and --deployment go with --every NAME")
        else:
            frames = log.frames(media_ids if visit is None else _visit(settings, log, visit))
        if not as_json:
            _preview(settings, frames, answer)
        number = None
        if frames and not dry_run and (yes or bool(media_ids) or _agreed(len(frames))):
            with JudgementLog.open(settings.database) as judgements:
                number = keep(judgements, frames, answer, person=person.name(), note=said)
        if as_json:
            write_json(correction_record(frames, answer, number))
        elif number is not None:
            note(f"`feeder correct --undo {number}` takes it back; `feeder relabel` lets the past")
            note("  learn from it, too.")


def _check_one(wanted: str, given: list[object]) -> None:
    if sum(map(bool, given)) != 1:
        raise click.UsageError(f"give {wanted}")


def _visit(settings: Settings, log: CorrectionLog, media_id: int) -> tuple[int, ...]:
    """The frames of the visit that this frame is of."""
    (frame,) = log.frames([media_id])
    visit = visit_history.of_frame(
        SightingLog(settings.database),
        settings.visits.gap,
        groups(known_vocabulary(settings)),
        media_id,
        frame.deployment,
        frame.captured_at,
    )
    if visit is not None:
        return visit.media_ids
    raise FeederError(
        f"Frame {media_id} shows {frame.words}, which is no visit.",
        f"`feeder correct {media_id}` speaks of this frame alone.",
    )


def _choice(
    settings: Settings,
    known: Vocabulary,
    species: str,
    since: str | None,
    until: str | None,
    deployment: str | None,
) -> Choice:
    chosen = select(settings, known, since, until, species, deployment)
    assert chosen.labels is not None
    return Choice(sorted(chosen.labels), chosen.since, chosen.until, deployment)


def _preview(settings: Settings, frames: list[Shown], answer: Answer) -> None:
    """What is corrected to what."""
    if not frames:
        say("No frame of the log is that.")
        return
    zones = {one.name: one.zone for one in settings.deployments}
    for words, count in counts(frames):
        mine = [one for one in frames if one.words == words]
        people = sum(one.by_person for one in mine)
        verb = "confirmed" if answer.is_said_of(mine[0]) else f"-> {answer.words}"
        say(f"{count:>6}  {words} {verb}" + (f" ({people} named by a person)" if people else ""))
    in_order = sorted(frames, key=lambda one: one.captured_at)
    ends = (in_order[0], in_order[-1])
    spans = [local(one.captured_at, zones.get(one.deployment)) for one in ends]
    note(f"{_frames(len(frames))}, {' to '.join(dict.fromkeys(spans))}")


def _frames(count: int | None) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _agreed(count: int) -> bool:
    """Whether the person at the terminal wants it; somebody must be asked."""
    if not sys.stdin.isatty():
        raise FeederError(
            f"Nobody is there to be asked whether {_frames(count)} shall be corrected.",
            "--yes says so; --dry-run only lists them.",
        )
    return click.confirm(f"Correct {_frames(count)}?", err=True)


def _undo(settings: Settings, number: int, *, as_json: bool) -> None:
    with JudgementLog.open(settings.database) as judgements:
        was = undo(judgements, number or None)
        later = judgements.judgements(*BY_MACHINE, state=State.IN_FORCE)[:1]
    if as_json:
        write_json({"judgement_id": was.judgement_id, "frames": was.frames})
        return
    say(f"undone: correction {was.judgement_id}, {_frames(was.frames)}, {was.description}")
    if later and later[0].judgement_id > was.judgement_id:
        note("The history was judged again since, without these frames.")
        note("  `feeder relabel` judges them, too.")


def _list(settings: Settings, *, as_json: bool) -> None:
    with JudgementLog.open(settings.database) as judgements:
        made = judgements.judgements(What.CORRECTION)
    if as_json:
        write_json([judgement_record(one) for one in made])
        return
    zone = settings.deployments[0].zone
    table(
        ("number", "made", "by", "frames", "correction", "state"),
        (
            (
                one.judgement_id,
                local(one.made_at, zone),
                one.made_by,
                one.frames,
                one.description,
                one.state,
            )
            for one in made
        ),
    )


def _evaluate(settings: Settings, *, as_json: bool) -> None:
    """Accuracy on the frames that people named, before and after, each held out."""
    classifier = open_classifier(settings)
    told = CorrectionLog(settings.database).told(classifier.bundle.digest)
    watched = partial(track, description="holding out", console=err, transient=True)
    tried = trial(classifier, told, watched)
    by_label: dict[str, list[Tried]] = {}
    for one in tried:
        by_label.setdefault(one.told.label.name, []).append(one)
    rows = [*sorted(by_label.items()), *([("all", tried)] if len(by_label) > 1 else [])]
    if as_json:
        write_json([_counted(name, mine) for name, mine in rows])
        return
    if not tried:
        say("There are not yet two visits that anybody corrected, so there is nothing to hold out.")
        return
    table(
        ("label", "frames", "visits", "right without corrections", "with those of other visits"),
        ((name, len(mine), _visits(mine), *map(_worded, shares(mine))) for name, mine in rows),
    )
    gained = sum(one.after > one.before for one in tried)
    lost = sum(one.after < one.before for one in tried)
    note(f"{gained} frames became right, {lost} wrong; brackets are 95 % intervals.")
    if _visits(tried) < ENOUGH:
        note(f"{_visits(tried)} visits are too few to say whether that is more than chance.")
    note("People correct what is wrong, so this says little of how good the others are.")


def _visits(tried: list[Tried]) -> int:
    return len({one.burst for one in tried})


def _worded(share: Share) -> str:
    assert share.interval is not None
    low, high = share.interval
    return f"{percent(share.value)} ({100 * low:.0f}-{100 * high:.0f})"


def _counted(name: str, tried: list[Tried]) -> dict[str, object]:
    before, after = shares(tried)
    return {
        "label": name,
        "frames": len(tried),
        "visits": _visits(tried),
        "right_before": before.count,
        "right_after": after.count,
        "enough": _visits(tried) >= ENOUGH,
    }
