"""`feeder eval`: how well a model does on pictures whose labels are known."""

from pathlib import Path

import click
from rich.progress import Progress

from feeder import evaluation_report
from feeder.cli.output import err, examples, note, out, table, write_json
from feeder.cli.region import find_deployment, moment
from feeder.cli.wiring import load_or_default, open_classifier, open_vocabulary
from feeder.clock import Clock
from feeder.errors import FeederError
from feeder.evaluate import Evaluation
from feeder.evaluate import evaluate as evaluate_pictures
from feeder.labelled import find_pictures, name_of, suggest
from feeder.metrics import Share

_MOST_ROWS = 20


@click.command(
    epilog=examples(
        "feeder eval photos/",
        "feeder eval photos/ --report report.html",
        "feeder eval frames/ --labels frames/labels.csv --json",
        "feeder eval photos/ --deployment garden --month 11",
        "feeder eval faces/ --model clip-vit-base-patch32 --vocabulary animal-faces-plain",
        "feeder eval faces/ --model clip-vit-base-patch32 --vocabulary animal-faces",
    )
    + "\n\nThe last two take cats, dogs and wild animals apart: by the bare word “wild”, and with "
    "it spelled out as wolf, tiger, lion, fox and leopard."
)
@click.argument(
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
@click.option(
    "--labels",
    "labels_csv",
    metavar="CSV",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with columns path,label and perhaps source, instead of a folder per label.",
)
@click.option("--vocabulary", metavar="NAME", help="Another vocabulary than the configured one.")
@click.option("--model", metavar="NAME", help="Another bundle than the configured one.")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write an HTML report that needs nothing beside it, or the tables where FILE ends in .md.",
)
@click.option(
    "--deployment", metavar="NAME", help="Judge as if they were taken by this camera, today."
)
@click.option("--month", type=click.IntRange(1, 12), help="With --deployment: in this month.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option(
    "--top", default=5, show_default=True, type=click.IntRange(2), help="Labels kept per picture."
)
@click.option("--limit", type=click.IntRange(1), help="Judge this many, evenly chosen.")
@click.pass_obj
def evaluate(
    path: Path,
    folder: Path,
    labels_csv: Path | None,
    vocabulary: str | None,
    model: str | None,
    report: Path | None,
    deployment: str | None,
    month: int | None,
    as_json: bool,
    top: int,
    limit: int | None,
) -> None:
    """Measures a model on pictures whose labels are known.

    DIR holds a folder for each label. A label is called by its name, an alias, its scientific
    name or its eBird code; bird, mammal, human and empty (or blank) stand for any label of that
    kind. Nothing is logged.
    """
    if report is not None and not report.absolute().parent.is_dir():
        raise FeederError(f"There is no folder {report.parent} for the report.", "Make it first.")
    settings = load_or_default(path)
    pictures = find_pictures(folder, labels_csv)
    if month is not None and deployment is None:
        raise click.UsageError("--month needs --deployment")
    context = None
    classifier = open_classifier(settings, model, vocabulary, top)
    if deployment is not None:
        camera = find_deployment(settings, deployment)
        context = classifier.context(camera.name, moment(month, camera.zone))
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("judging pictures", total=None)
        evaluation = evaluate_pictures(
            classifier,
            pictures,
            folder,
            vocabulary=open_vocabulary(settings, classifier.bundle, vocabulary).title,
            limit=limit,
            context=context,
            progress=lambda done, of: progress.update(task, completed=done, total=of),
        )
    for name, count in evaluation.unmatched.items():
        guess = suggest(name, classifier.labels)
        note(f"left out: no label {name!r} ({count} pictures).{guess}")
    for picture, reason in evaluation.bad:
        note(f"left out: {picture.file}: {reason}")
    if report is not None:
        _write(report, evaluation)
    if as_json:
        write_json(evaluation.to_json())
    else:
        _show(evaluation)


def _write(report: Path, evaluation: Evaluation) -> None:
    if report.suffix.lower() == ".md":
        page = evaluation_report.render_markdown(evaluation)
    else:
        page = evaluation_report.render(evaluation, Clock().now())
    try:
        report.write_text(page, encoding="utf-8")
    except OSError as error:
        raise FeederError(
            f"The report cannot be written: {error}.", "Choose another file by --report."
        ) from error
    note(f"report: {report}")


def _show(evaluation: Evaluation) -> None:
    table(
        ("measure", "share", "pictures", "95 % interval"),
        [_measure(name, share) for name, share in evaluation.measures.items()],
    )
    click.echo(f"expected calibration error: {evaluation.calibration_error or 0:.3f}")
    if evaluation.by_source:
        click.echo()
        table(
            ("source: best label right", "share", "pictures", "95 % interval"),
            [_measure(source, share) for source, share in evaluation.by_source.items()],
        )
    scores = evaluation.scores
    hardest = sorted(
        (at for at in range(len(evaluation.answers)) if scores.support[at]),
        key=lambda at: (scores.f1[at], name_of(evaluation.answers[at]).casefold()),
    )
    rows = [
        (
            name_of(evaluation.answers[at]),
            int(scores.support[at]),
            *map(_percent, (scores.precision[at], scores.recall[at], scores.f1[at])),
        )
        for at in hardest
    ]
    shown = rows[:_MOST_ROWS] if out.is_terminal else rows
    for name, means in (("labels", evaluation.macro), ("pictures", evaluation.weighted)):
        figures = map(_percent, (means.precision, means.recall, means.f1))
        shown.append((f"mean over {name}", len(evaluation.judged), *figures))
    click.echo()
    table(("label", "pictures", "precision", "recall", "F1"), shown)
    if len(rows) > _MOST_ROWS and out.is_terminal:
        click.echo(f"The hardest {_MOST_ROWS} of {len(rows)} labels; --report shows them all.")
    if evaluation.confused:
        click.echo()
        table(
            ("truth", "taken for", "pictures"),
            [
                (name_of(truth), name_of(outcome), count)
                for truth, outcome, count in evaluation.confused[:10]
            ],
        )


def _measure(name: str, share: Share) -> tuple[str, str, str, str]:
    low, high = share.interval or (0.0, 1.0)
    bounds = f"{_percent(low)} to {_percent(high)}"
    return name, _percent(share.value or 0.0), f"{share.count} of {share.total}", bounds


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
