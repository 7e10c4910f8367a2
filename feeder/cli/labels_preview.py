"""`feeder labels preview`: what edited labels would change in the log."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from feeder import config, label_edits, label_embeddings
from feeder.bundle import Bundle, Thresholds
from feeder.change_sheet import ChangeSheet
from feeder.classifier import Classifier
from feeder.cli import plan_output
from feeder.cli.label_photos import read_photos, usual_kind
from feeder.cli.output import examples, local, write_json
from feeder.cli.pictures import check_sheet, write_sheet
from feeder.cli.relabel import progress_bar, scope_of
from feeder.cli.wiring import open_bundle, open_classifier, open_vocabulary
from feeder.config import Settings
from feeder.domain import Kind, Label
from feeder.embedding_store import EmbeddingStore
from feeder.errors import VocabularyError
from feeder.judge_again import Plan
from feeder.picture_log import PictureLog
from feeder.places import Places
from feeder.relabel import preview as preview_relabel
from feeder.vocabulary import Vocabulary


@dataclass(frozen=True)
class _NewLabels:
    """The labels to add by name, and what the options say of the one that they are for."""

    names: tuple[str, ...]
    kind: str | None
    scientific: str
    ebird: str
    prompts: tuple[str, ...]
    alternatives: tuple[str, ...]
    photos: Path | None

    def check(self) -> None:
        """Raises BadParameter where it is not clear which label the options are for."""
        options = (
            self.kind, self.scientific, self.ebird, self.prompts, self.alternatives, self.photos,
        )  # fmt: skip
        if any(options) and len(self.names) != 1:
            raise click.BadParameter("the options of a label need one --add", param_hint="--add")


@click.command(
    "preview",
    epilog=examples(
        "feeder labels preview                        # labels as they are now, against the log",
        'feeder labels preview --remove "House Finch"',
        'feeder labels preview --add "Eurasian Siskin" --sheet siskins.html',
        'feeder labels preview --add Gertrude --photos ~/gertrude --since 2026-05-01',
        'feeder labels preview --rename "Rock Pigeon=Feral Pigeon"',
        'feeder labels preview --template "a blurry photo of a {label}."',
        "feeder labels preview --threshold label=0.7",
    ),
)  # fmt: skip
@click.option("--add", "added", multiple=True, metavar="NAME", help="With a new label; repeatable.")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="Of the new label.")
@click.option("--scientific", default="", help="Scientific name of the new label.")
@click.option("--ebird", default="", help="eBird species code of the new label.")
@click.option("--prompt", "prompts", multiple=True, help="Of the new label, for the templates.")
@click.option("--alternative", "alternatives", multiple=True, help="Of the new label; repeatable.")
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Learn the new label from the pictures in this folder.",
)
@click.option("--remove", "removed", multiple=True, metavar="NAME", help="Without it; repeatable.")
@click.option("--rename", "renamed", multiple=True, metavar="OLD=NEW", help="Repeatable.")
@click.option(
    "--template", "templates", multiple=True, help="Prompts of all labels, with {label} in them."
)
@click.option(
    "--prompts",
    "prompt_file",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The same from a file, a template a line.",
)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="NAME=SHARE",
    help="label, bird, blank or margin; repeatable.",
)
@click.option("--vocabulary", metavar="NAME", help="Another vocabulary than the configured one.")
@click.option("--since", metavar="WHEN", help="Frames from this day or time on.")
@click.option("--until", metavar="WHEN", help="Up to this time, or to the end of this day.")
@click.option("--deployment", help="One camera only.")
@click.option(
    "--sheet",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write an HTML page with the frames' pictures, which needs nothing beside it.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def preview(
    path: Path,
    added: tuple[str, ...],
    kind: str | None,
    scientific: str,
    ebird: str,
    prompts: tuple[str, ...],
    alternatives: tuple[str, ...],
    photos: Path | None,
    removed: tuple[str, ...],
    renamed: tuple[str, ...],
    templates: tuple[str, ...],
    prompt_file: Path | None,
    thresholds: tuple[str, ...],
    vocabulary: str | None,
    since: str | None,
    until: str | None,
    deployment: str | None,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Shows which frames of the log other labels would call something else.

    Labels and log stay as they are. Without an edit it compares the log with the labels and
    thresholds as they are now, which is what `feeder relabel` would change.
    """
    check_sheet(sheet)
    new = _NewLabels(added, kind, scientific, ebird, prompts, alternatives, photos)
    new.check()
    settings = _with_thresholds(config.load(path), thresholds)
    scope = scope_of(settings, since, until, deployment)
    bundle = open_bundle(settings)
    if prompt_file is not None:
        lines = prompt_file.read_text(encoding="utf-8").splitlines()
        templates += tuple(line.strip() for line in lines if line.strip())
    if templates and bundle.manifest.text is None:
        raise VocabularyError(
            f"The model {bundle.manifest.name} has no text encoder, so prompts say nothing to it.",
            "Get a CLIP, which reads them: `make model` or `feeder model pull ID`.",
        )
    with TemporaryDirectory(prefix="feeder-") as folder:
        edited = open_vocabulary(settings, bundle, vocabulary)
        for pair in renamed:
            edited = label_edits.rename(edited, *_pair(pair, "--rename"))
        for name in removed:
            edited = label_edits.remove(edited, name)
        base = open_vocabulary(settings, bundle, vocabulary, own=False)
        for label in _new_labels(new, edited, settings, bundle, Path(folder)):
            edited = label_edits.add(edited, label, base)
        if templates:
            edited = label_edits.with_templates(edited, templates)
        classifier = open_classifier(settings, vocabulary=edited, lazy=True)
    with progress_bar() as progress:
        plan = preview_relabel(settings.database, settings.cache, classifier, scope, progress)
    if as_json:
        write_json(plan_output.to_json(plan, settings.visits.gap))
    else:
        plan_output.show(plan, settings.visits.gap, done=False)
    if sheet is not None:
        edits = [
            *(f"+ {name}" for name in added),
            *(f"\N{MINUS SIGN} {name}" for name in removed),
            *(pair.replace("=", " \N{RIGHTWARDS ARROW} ", 1) for pair in renamed),
            *(f"“{template}”" for template in templates),
            *thresholds,
            *([vocabulary] if vocabulary else []),
        ]
        _write(sheet, settings, classifier, plan, ", ".join(edits) or "The labels as they are now")


def _new_labels(
    new: _NewLabels, vocabulary: Vocabulary, settings: Settings, bundle: Bundle, folder: Path
) -> list[Label]:
    """The labels to add; what is learnt from photos is kept in `folder`."""
    learnt = None
    if new.photos is not None:
        classifier = open_classifier(settings)
        learnt = folder / "photos.npz"
        label_embeddings.save_photos(learnt, read_photos(classifier, new.photos), bundle)
    return [
        Label(
            name=name,
            kind=Kind(new.kind) if new.kind else usual_kind(vocabulary),
            scientific_name=new.scientific,
            ebird_code=new.ebird,
            prompts=new.prompts,
            alternatives=new.alternatives,
            photos=learnt,
        )
        for name in new.names
    ]


def _with_thresholds(settings: Settings, pairs: tuple[str, ...]) -> Settings:
    """The settings with other thresholds."""
    changed: dict[str, float] = {}
    for pair in pairs:
        name, text = _pair(pair, "--threshold")
        if name not in Thresholds.model_fields:
            known = ", ".join(Thresholds.model_fields)
            raise click.BadParameter(f"{name!r} is none of {known}", param_hint="--threshold")
        try:
            changed[name] = float(text)
        except ValueError:
            changed[name] = -1
        # Written so that NaN is refused, too.
        if not 0 <= changed[name] <= 1:
            raise click.BadParameter(
                f"{text!r} is no probability from 0 to 1", param_hint="--threshold"
            )
    thresholds = settings.thresholds.model_copy(update=changed)
    return settings.model_copy(update={"thresholds": thresholds})


def _pair(text: str, option: str) -> tuple[str, str]:
    first, equals, second = text.partition("=")
    if not first.strip() or not equals or not second.strip():
        raise click.BadParameter(f"{text!r} is not written like OLD=NEW", param_hint=option)
    return first.strip(), second.strip()


def _write(sheet: Path, settings: Settings, classifier: Classifier, plan: Plan, edits: str) -> None:
    zones = {one.name: one.zone for one in settings.deployments}
    with closing(PictureLog.open(settings.database, writable=False)) as pictures:
        changes = ChangeSheet(
            classifier,
            EmbeddingStore.open(settings.database, classifier.bundle.digest, settings.cache),
            pictures,
            Places.of(settings),
            lambda picture: local(picture.captured_at, zones.get(picture.deployment)),
        )
        write_sheet(sheet, *changes.contents(plan, edits))
