"""`feeder calibrate`: probabilities that mean what they say, and thresholds to match."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from feeder import calibration, calibration_file, config, reviewed
from feeder.calibration import Examples, Figures, Fit
from feeder.calibration_file import Entry
from feeder.classifier import Classifier
from feeder.cli.output import err, examples, local, note, say, table, write_json
from feeder.cli.wiring import open_classifier
from feeder.clock import Clock, parse_utc, utc_text
from feeder.config import Settings
from feeder.embedding_store import EmbeddingStore
from feeder.errors import FeederError
from feeder.labelled import find_pictures, suggest
from feeder.metrics import Share
from feeder.review_log import ReviewLog


@click.command(
    epilog=examples(
        "feeder review --sample 150           # first: name frames that were drawn at random",
        "feeder calibrate --dry-run           # what it would bring, on frames held out",
        "feeder calibrate --precision 0.95",
        "feeder calibrate --from photos/      # a folder for each label, as for `feeder eval`",
        "feeder calibrate --show",
        "feeder calibrate --reset --deployment garden",
    )
)
@click.option("--deployment", help="One camera only; else each by itself.")
@click.option(
    "--precision",
    default=0.9,
    show_default=True,
    type=click.FloatRange(0.5, 0.999),
    help="The share of what is said that shall be right; more means fewer names.",
)
@click.option(
    "--all-reviewed", is_flag=True, help="Take in corrections, too, which are no fair sample."
)
@click.option(
    "--from",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Calibrate on a labelled folder instead, of pictures the model was not made from.",
)
@click.option(
    "--labels",
    "labels_csv",
    metavar="CSV",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --from: a file with columns path,label and perhaps source.",
)
@click.option("--dry-run", is_flag=True, help="Keep nothing.")
@click.option("--show", is_flag=True, help="Only show what is kept.")
@click.option("--reset", is_flag=True, help="Forget what is kept; the model's own values hold.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def calibrate(
    path: Path,
    deployment: str | None,
    precision: float,
    all_reviewed: bool,
    folder: Path | None,
    labels_csv: Path | None,
    dry_run: bool,
    show: bool,
    reset: bool,
    as_json: bool,
) -> None:
    """Fits temperature and thresholds to frames of which a person has said what they show.

    It counts the frames that `feeder review --sample` drew at random. People correct what is
    wrong, so corrections alone would make the model look worse than it is. What comes of it is
    measured on frames held out, whole bursts at a time. Thresholds that config.toml states win.
    """
    settings = config.load(path)
    cameras = [one.name for one in settings.deployments]
    if deployment is not None and deployment not in cameras:
        raise click.BadParameter(f"there are: {', '.join(cameras)}", param_hint="--deployment")
    chosen = [deployment] if deployment else cameras
    if labels_csv is not None and folder is None:
        raise click.UsageError("--labels goes with --from.")
    if reset:
        gone = calibration_file.reset(settings.calibration, chosen)
        say(f"reset: {', '.join(gone)}; {_TAKEN_UP}" if gone else "There was nothing to reset.")
        return
    if show:
        _show(settings, chosen, as_json)
        return
    classifier = open_classifier(settings)
    # What it learnt from reviewed frames makes it too sure of those very frames.
    classifier.teach([])
    if folder is not None:
        found = _from_folder(settings, classifier, chosen, folder, labels_csv, precision)
    else:
        found = _from_log(settings, classifier, chosen, precision, all_reviewed)
    if as_json:
        write_json([_described(camera, fit, made_from) for camera, fit, made_from in found])
    else:
        for camera, fit, made_from in found:
            _report(camera, fit, made_from, classifier)
    if not dry_run:
        entries = [_entry(*one, settings, classifier) for one in found]
        calibration_file.put(settings.calibration, entries)
        note(f"kept in {settings.calibration}; {_TAKEN_UP}")


_TAKEN_UP = "a running daemon takes it up at SIGHUP"

_Found = tuple[str, Fit, str]
"""A camera, what was fitted for it, and to what, in words."""


def _from_log(
    settings: Settings,
    classifier: Classifier,
    cameras: Sequence[str],
    precision: float,
    all_reviewed: bool,
) -> list[_Found]:
    """What can be fitted; raises FeederError where that is nothing, else notes what is left out."""
    found: list[_Found] = []
    refusals: list[FeederError] = []
    digest = classifier.bundle.digest
    with ReviewLog(settings.database) as log:
        said = {camera: log.said(digest, camera) for camera in cameras}
    store = EmbeddingStore.open(settings.database, digest, settings.cache)
    for camera, frames in said.items():
        drawn = [one for one in frames if one.drawn]
        used = frames if all_reviewed else drawn
        try:
            fit = _fit(settings, classifier, reviewed.from_log(used, store, classifier), precision)
        except FeederError as error:
            aside = len(frames) - len(used)
            other = f" {aside} others were not drawn at random: --all-reviewed." if aside else ""
            refusals.append(FeederError(f"{camera}: {error}{other}", error.hint))
            continue
        found.append((camera, fit, f"{len(drawn)} of {len(used)} reviewed frames drawn at random"))
        if len(drawn) < len(used):
            note(
                f"{camera}: only {len(drawn)} of {len(used)} frames were drawn at random. People "
                "correct what is wrong, so the model looks worse here than it is: it will name "
                "less than it could."
            )
    if not found:
        raise refusals[0]
    for refusal in refusals:
        note(f"left as it was: {refusal}")
    return found


def _from_folder(
    settings: Settings,
    classifier: Classifier,
    cameras: Sequence[str],
    folder: Path,
    labels_csv: Path | None,
    precision: float,
) -> list[_Found]:
    pictures = find_pictures(folder, labels_csv)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("judging pictures", total=None)
        given, unmatched, bad = reviewed.from_folder(
            pictures,
            classifier,
            cameras[0],
            Clock().now(),
            progress=lambda done, of: progress.update(task, completed=done, total=of),
        )
    for name, count in unmatched.items():
        guess = suggest(name, classifier.labels)
        note(f"left out: no label {name!r} ({count} pictures).{guess}")
    for reason in bad:
        note(f"left out: {reason}")
    fit = _fit(settings, classifier, given, precision)
    return [(camera, fit, f"pictures of {folder.absolute()}") for camera in cameras]


def _fit(settings: Settings, classifier: Classifier, given: Examples, precision: float) -> Fit:
    stated = settings.thresholds.model_dump(exclude_none=True)
    return calibration.fit(given, classifier.thresholds, precision, fixed=stated)


def _entry(
    camera: str, fit: Fit, made_from: str, settings: Settings, classifier: Classifier
) -> Entry:
    bundle = classifier.bundle
    return Entry(
        deployment=camera,
        bundle=bundle.digest,
        graph=bundle.graph_file(bundle.manifest.image, settings.model.precision),
        vocabulary=classifier.embeddings.digest,
        temperature=fit.temperature,
        thresholds=fit.thresholds,
        made_at=utc_text(Clock().now()),
        made_from=made_from,
        frames=fit.frames,
        error_before=fit.before.error,
        error_after=fit.after.error,
        nll_before=fit.before.nll,
        nll_after=fit.after.nll,
    )


def _report(camera: str, fit: Fit, made_from: str, classifier: Classifier) -> None:
    old, new = classifier.thresholds, fit.thresholds
    before, after = fit.before, fit.after
    table(
        (f"{camera}: held out", "before", "after"),
        (
            ("expected calibration error", f"{before.error:.3f}", f"{after.error:.3f}"),
            ("the same, were there none", f"{before.floor:.3f}", f"{after.floor:.3f}"),
            ("negative log-likelihood", f"{before.nll:.3f}", f"{after.nll:.3f}"),
            ("best label right", _share(before.accuracy), _share(after.accuracy)),
            ("given a name", _share(before.named), _share(after.named)),
            ("right among those named", _share(before.right), _share(after.right)),
        ),
    )
    say(f"temperature {fit.temperature:.2f}")
    for name in ("label", "bird", "blank"):
        say(f"threshold {name} {getattr(old, name):g} -> {getattr(new, name):g}")
    for remark in fit.notes:
        say(f"  {remark}")
    say(f"from {fit.frames} frames in {fit.bursts} bursts: {made_from}")


def _show(settings: Settings, cameras: Sequence[str], as_json: bool) -> None:
    entries = [
        one for one in calibration_file.read(settings.calibration) if one.deployment in cameras
    ]
    if as_json:
        write_json([one.model_dump() for one in entries])
        return
    if not entries:
        say("Nothing is calibrated; the model's own values hold.")
        return
    table(
        ("camera", "model", "temperature", "label", "bird", "blank", "error before", "after",
         "frames", "made"),
        (
            (
                one.deployment,
                f"{one.bundle[:12]} {Path(one.graph).name}",
                f"{one.temperature:.2f}",
                f"{one.thresholds.label:g}",
                f"{one.thresholds.bird:g}",
                f"{one.thresholds.blank:g}",
                f"{one.error_before:.3f}",
                f"{one.error_after:.3f}",
                one.frames,
                local(parse_utc(one.made_at), None),
            )
            for one in entries
        ),
    )  # fmt: skip


def _described(camera: str, fit: Fit, made_from: str) -> dict[str, Any]:
    return {
        "deployment": camera,
        "temperature": fit.temperature,
        "thresholds": fit.thresholds.model_dump(),
        "frames": fit.frames,
        "bursts": fit.bursts,
        "made_from": made_from,
        "held_out": {"before": _figures(fit.before), "after": _figures(fit.after)},
        "notes": fit.notes,
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "expected_calibration_error": figures.error,
        "expected_calibration_error_if_perfect": figures.floor,
        "negative_log_likelihood": figures.nll,
        "best_label_right": asdict(figures.accuracy),
        "named": asdict(figures.named),
        "right_among_named": asdict(figures.right),
    }


def _share(share: Share) -> str:
    low, high = share.interval or (0.0, 1.0)
    if share.value is None:
        return "none"
    return f"{share.value:.1%} ({low:.1%} to {high:.1%}) of {share.total}".replace("%", " %")
