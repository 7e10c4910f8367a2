"""`feeder relabel`: the history, judged again."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.progress import Progress

from feeder import config
from feeder.classifier import Classifier
from feeder.cli import plan_output
from feeder.cli.output import err, examples, local, note, say, table, write_json
from feeder.cli.selection import select
from feeder.cli.wiring import open_classifier, open_reader
from feeder.config import Settings
from feeder.judge_again import Plan
from feeder.judgement_log import Judgement, JudgementLog, State, What
from feeder.observation_log import PATIENCE_SECONDS
from feeder.reembed import Reembedding
from feeder.relabel import (
    BY_MACHINE,
    is_announced,
    newest_in_force,
    preview,
    relabel,
    sole_judge,
)
from feeder.verdict_log import Scope


@click.command(
    "relabel",
    epilog=examples(
        "feeder relabel                       # after editing labels or thresholds",
        "feeder relabel --dry-run             # what would change",
        "feeder relabel --since 2026-05-01 --deployment garden",
        "feeder relabel --embed               # after a change of model; the daemon does so, too",
        "feeder relabel --undo                # the newest one counts no longer",
        "feeder relabel --list                # what was judged again, and when",
    ),
)
@click.option("--since", metavar="WHEN", help="Frames from this day or time on.")
@click.option("--until", metavar="WHEN", help="Up to this time, or to the end of this day.")
@click.option("--deployment", help="One camera only.")
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option(
    "--embed",
    is_flag=True,
    help="Show the configured model the pictures that only another one saw, then judge those.",
)
@click.option("--seen", is_flag=True, hidden=True)  # the daemon's way to judge what it embedded
@click.option("--undo", is_flag=True, help="Let the newest judgement in force count no longer.")
@click.option("--list", "as_list", is_flag=True, help="Show what was judged again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, times in UTC, and do not ask.")
@click.pass_obj
def command(
    path: Path,
    since: str | None,
    until: str | None,
    deployment: str | None,
    dry_run: bool,
    embed: bool,
    seen: bool,
    undo: bool,
    as_list: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Judges every frame in the log again, on the labels and thresholds as they are now.

    It needs no picture: the log keeps what the model saw. Frames whose verdict changes get a new
    one; what people have named stays. All of it counts at once at the end, and --undo takes it
    back. The daemon may run meanwhile. WHEN is as in `feeder sightings`.
    """
    if dry_run and (embed or undo):
        raise click.UsageError("--dry-run goes with neither --embed nor --undo.")
    settings = config.load(path)
    if as_list:
        _list(settings, as_json=as_json)
        return
    if undo:
        _undo(settings, yes=yes)
        return
    scope = scope_of(settings, since, until, deployment)
    if embed:
        _embed(settings, scope, as_json=as_json)
        return
    classifier = open_classifier(settings, lazy=True)
    if seen:
        _judge_seen(settings, classifier)
        return
    asks = _asks(yes or as_json)
    if dry_run or asks:
        with progress_bar() as progress:
            plan = preview(settings.database, settings.cache, classifier, scope, progress)
        if dry_run or not plan.changed:
            _show(settings, plan, as_json=as_json, done=False)
            return
        plan_output.show(plan, settings.visits.gap, done=False)
        click.confirm("Judge them again?", abort=True, err=True)
    with sole_judge(settings.database):
        plan = _judge(settings, classifier, scope, What.RELABEL)
    if asks:  # the table stands above already
        say(plan_output.summary(plan, done=True))
    else:
        _show(settings, plan, as_json=as_json, done=True)


def _judge(settings: Settings, classifier: Classifier, scope: Scope, what: What) -> Plan:
    database, cache = settings.database, settings.cache
    with JudgementLog.open(database) as judgements, progress_bar() as progress:
        return relabel(database, cache, classifier, scope, judgements, what=what, progress=progress)


def _embed(settings: Settings, scope: Scope, *, as_json: bool) -> None:
    """Shows the model the pictures in the foreground, then judges what it has seen."""
    classifier = open_classifier(settings)
    reader = open_reader(settings, classifier)
    with sole_judge(settings.database), closing(reader.decoder):
        with (
            Reembedding.open(
                settings, classifier, reader, scope, patience=PATIENCE_SECONDS
            ) as pictures,
            progress_bar("looking at pictures") as progress,
        ):
            of = pictures.count()
            try:
                while not pictures.finished:
                    pictures.step()
                    progress(pictures.tally.total, of)
            finally:
                pictures.flush()
        plan = _judge(settings, classifier, replace(scope, other_models=True), What.MODEL)
    tally, name = pictures.tally, classifier.bundle.manifest.name
    if as_json:
        write_json({**asdict(tally), **plan_output.to_json(plan, settings.visits.gap)})
        return
    _show(settings, plan, as_json=False, done=True)
    say(f"{name} has seen {plan_output.count(tally.seen, 'picture')}")
    if tally.gone or tally.unreadable:
        note(
            f"gone: {tally.gone}, not readable: {tally.unreadable};"
            " those frames keep their verdicts"
        )


def _judge_seen(settings: Settings, classifier: Classifier) -> None:
    """Judges what the daemon's model has seen, unless the settings name another one by now."""
    with sole_judge(settings.database):
        with JudgementLog.open(settings.database) as judgements:
            is_due = is_announced(judgements, classifier.bundle.digest)
        if is_due:
            _judge(settings, classifier, Scope(other_models=True), What.MODEL)


def scope_of(
    settings: Settings, since: str | None, until: str | None, deployment: str | None
) -> Scope:
    """The frames that the options of a command name."""
    chosen = select(settings, None, since, until, None, deployment)
    return Scope(since=chosen.since, until=chosen.until, deployment=deployment)


@contextmanager
def progress_bar(what: str = "judging frames again") -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, to be told how much is done, of how much."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _asks(yes: bool) -> bool:
    return not yes and sys.stdin.isatty()


def _show(settings: Settings, plan: Plan, *, as_json: bool, done: bool) -> None:
    if as_json:
        write_json(plan_output.to_json(plan, settings.visits.gap))
    else:
        plan_output.show(plan, settings.visits.gap, done=done)
        if done and plan.changed:
            note("`feeder relabel --undo` takes it back.")


def _undo(settings: Settings, *, yes: bool) -> None:
    with sole_judge(settings.database), JudgementLog.open(settings.database) as judgements:
        newest = newest_in_force(judgements)
        zone = settings.deployments[0].zone
        if _asks(yes):
            click.confirm(f"Undo {_described(newest, zone)}?", abort=True, err=True)
        judgements.undo(newest.judgement_id)
    say(f"undone: {_described(newest, zone)}")


def _list(settings: Settings, *, as_json: bool) -> None:
    with JudgementLog.open(settings.database) as judgements:
        rows = judgements.judgements(*BY_MACHINE)
    # An announcement without a verdict is worth a line only while it waits.
    rows = [row for row in rows if row.changed or row.state is State.PREPARING]
    if as_json:
        write_json([asdict(row) for row in rows])
        return
    zone = settings.deployments[0].zone
    table(
        ("id", "made", "what", "state", "frames", "new verdicts", "description"),
        (
            (
                row.judgement_id,
                local(row.made_at, zone),
                row.what.value,
                _state(row),
                "" if row.frames is None else row.frames,
                row.changed,
                row.description,
            )
            for row in rows
        ),
    )


def _state(one: Judgement) -> str:
    # What never came into force was interrupted, and is undone by whoever comes next.
    was_interrupted = one.state is State.UNDONE and one.frames is None
    return "interrupted" if was_interrupted else one.state.value


def _described(one: Judgement, zone: ZoneInfo | None) -> str:
    what = "change of model" if one.what is What.MODEL else one.what.value
    return (
        f"the {what} of {local(one.made_at, zone)}, {one.description},"
        f" {plan_output.count(one.changed, 'new verdict')}"
    )
