"""`feeder labels`: what can be named."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import click
from rich.progress import track

from feeder import decoder, label_embeddings, own_labels
from feeder.cli.output import err, examples, note, say, table, write_json
from feeder.cli.wiring import load_or_default, open_bundle, open_classifier, open_vocabulary
from feeder.config import Settings
from feeder.domain import Kind, Label, Vectors
from feeder.errors import BadFrame, VocabularyError
from feeder.prototypes import MIN_EXAMPLES
from feeder.vocabulary import Vocabulary, spelling


@click.group(
    epilog=examples(
        "feeder labels list",
        'feeder labels add "Eurasian Siskin"',
        'feeder labels add "Gertrude" --photos ~/gertrude',
        'feeder labels remove "House Finch"',
    )
)
def labels() -> None:
    """Lists, adds and removes labels. A running daemon takes them up at SIGHUP."""


@labels.command("list", epilog=examples("feeder labels list", "feeder labels list --json"))
@click.option("--vocabulary", help="Another vocabulary than the configured one.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def list_labels(path: Path, vocabulary: str | None, as_json: bool) -> None:
    """Shows every label with its scientific name, code and kind."""
    settings = load_or_default(path)
    chosen = open_vocabulary(settings, open_bundle(settings), vocabulary)
    if as_json:
        write_json(
            [
                {
                    "name": label.name,
                    "scientific_name": label.scientific_name,
                    "ebird_code": label.ebird_code,
                    "kind": label.kind,
                    "aliases": label.aliases,
                    "own": label.name in chosen.own,
                }
                for label in chosen.labels
            ]
        )
        return
    table(
        ("name", "scientific name", "eBird", "kind", "from"),
        (
            (
                label.name,
                label.scientific_name,
                label.ebird_code,
                label.kind,
                "you" if label.name in chosen.own else chosen.title,
            )
            for label in chosen.labels
        ),
    )


@labels.command(
    "add",
    epilog=examples(
        'feeder labels add "Eurasian Siskin" --scientific "Spinus spinus" --ebird eursis',
        "feeder labels add wild --kind mammal --alternative wolf --alternative lion",
        'feeder labels add "Gertrude" --photos ~/gertrude',
    ),
)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in Kind]),
    help="Default: what most labels are.",
)
@click.option("--scientific", default="", help="Scientific name.")
@click.option("--ebird", default="", help="eBird species code.")
@click.option("--prompt", "prompts", multiple=True, help="Instead of the templates; repeatable.")
@click.option("--alternative", "alternatives", multiple=True, help="Scored apart, then summed.")
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Learn from the pictures in this folder; works on every model.",
)
@click.option("--replace", is_flag=True, help="In place of a label of yours with this name.")
@click.pass_obj
def add_label(
    path: Path,
    name: str,
    kind: str | None,
    scientific: str,
    ebird: str,
    prompts: tuple[str, ...],
    alternatives: tuple[str, ...],
    photos: Path | None,
    replace: bool,
) -> None:
    """Adds a label: its name is enough where the model reads text."""
    settings = load_or_default(path)
    bundle = open_bundle(settings)
    base = open_vocabulary(settings, bundle, own=False)
    vocabulary = open_vocabulary(settings, bundle)
    if photos is None and own_labels.restore(settings.own_labels, name, base):
        say(f"{name} is back")
        return
    taken = vocabulary.find(name)
    mine = taken is not None and taken.name in vocabulary.own
    # Photos may stand in for a shipped label: the model may not know it by its name.
    if taken is not None and not (replace if mine else photos):
        raise VocabularyError(
            f"{name!r} is there already, as {taken.name!r}.",
            "Use --replace to put this one in its place." if mine else "Nothing needs to be added.",
        )
    if bundle.manifest.text is None and photos is None:
        raise label_embeddings.cannot_read(bundle, name)
    label = Label(
        name=name,
        kind=Kind(kind) if kind else _usual_kind(vocabulary),
        scientific_name=scientific,
        ebird_code=ebird,
        prompts=prompts,
        alternatives=alternatives,
        photos=_learn(settings, name, photos) if photos else None,
    )
    own_labels.add(settings.own_labels, label, base, replace=replace)
    # Encodes the prompts now, so that a mistake shows here and not at the daemon's next start.
    count = len(open_classifier(settings).labels)
    say(f"added {name} ({label.kind}); {count} labels now")


@labels.command("remove", epilog=examples('feeder labels remove "House Finch"'))
@click.argument("name")
@click.pass_obj
def remove_label(path: Path, name: str) -> None:
    """Takes a label out; `labels add` with the same name puts a shipped one back."""
    settings = load_or_default(path)
    base = open_vocabulary(settings, open_bundle(settings), own=False)
    label = own_labels.remove(settings.own_labels, name, base)
    say(f"removed {label.name}")


def _usual_kind(vocabulary: Vocabulary) -> Kind:
    (kind, _), *_ = Counter(label.kind for label in vocabulary.labels).most_common(1)
    return kind


def _learn(settings: Settings, name: str, photos: Path) -> Path:
    """Embeds the pictures of a folder and keeps the vectors beside the user's labels."""
    classifier = open_classifier(settings)
    vectors: list[Vectors] = []
    found = sorted(path for path in photos.rglob("*") if path.is_file())
    for path in track(found, "reading photos", console=err, transient=True):
        try:
            vectors.append(classifier.embed([path])[0])
        except BadFrame as bad:
            note(f"left out: {bad}")
    if len(vectors) < MIN_EXAMPLES:
        raise VocabularyError(
            f"{photos} holds {len(vectors)} readable pictures; {MIN_EXAMPLES} or more are needed.",
            f"Accepted are {', '.join(decoder.FORMATS)}; ten and more serve better.",
        )
    slug = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")
    # The digest keeps names apart that have no Latin letters to tell them by.
    digest = hashlib.sha256(spelling(name).encode()).hexdigest()[:8]
    kept = settings.own_labels.with_suffix("") / f"{slug}-{digest}.npz".lstrip("-")
    label_embeddings.save_photos(kept, vectors, classifier.bundle)
    return kept
