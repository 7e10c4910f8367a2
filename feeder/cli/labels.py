"""`feeder labels`: what can be named."""

import hashlib
import re
from pathlib import Path

import click

from feeder import confusable, label_embeddings, own_labels
from feeder.cli.check_labels import check_labels
from feeder.cli.label_photos import read_photos, usual_kind
from feeder.cli.labels_preview import preview
from feeder.cli.output import examples, note, say, table, write_json
from feeder.cli.wiring import load_or_default, open_bundle, open_classifier, open_vocabulary
from feeder.config import Settings
from feeder.domain import Kind, Label
from feeder.errors import VocabularyError
from feeder.log_records import label_records
from feeder.naming import given_labels
from feeder.vocabulary import spelling

_AT_RELOAD = "A daemon that runs takes it up when it is reloaded: systemctl --user reload feeder"


@click.group(
    epilog=examples(
        "feeder labels list",
        'feeder labels add "Eurasian Siskin"',
        'feeder labels add "Gertrude" --photos ~/gertrude',
        'feeder labels remove "House Finch"',
        'feeder labels block "Hooded Crow"',
        "feeder labels check",
        'feeder labels preview --remove "House Finch"    # what it would change in the log',
    )
)
def labels() -> None:
    """Lists, adds, removes, blocks and checks labels. A running daemon takes them up at SIGHUP."""


labels.add_command(preview)


@labels.command("list", epilog=examples("feeder labels list", "feeder labels list --json"))
@click.option("--vocabulary", help="Another vocabulary than the configured one.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def list_labels(path: Path, vocabulary: str | None, as_json: bool) -> None:
    """Shows every label with its scientific name, code and kind, and which cannot be named."""
    settings = load_or_default(path)
    bundle = open_bundle(settings)
    chosen = open_vocabulary(settings, bundle, vocabulary)
    lacking = label_embeddings.without_vectors(chosen, bundle)
    given = given_labels(settings, chosen)
    if as_json:
        write_json(label_records(chosen, lacking, given))
        return
    table(
        ("name", "scientific name", "eBird", "kind", "from", "never named"),
        (
            (
                label.name,
                label.scientific_name,
                label.ebird_code,
                label.kind,
                "corrections"
                if label in given
                else "you"
                if label.name in chosen.own
                else chosen.title,
                "blocked" if label.name in chosen.blocked else lacking.get(label.name, ""),
            )
            for label in (*chosen.labels, *given)
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
        note(_AT_RELOAD)
        return
    taken = vocabulary.find(name)
    mine = taken is not None and taken.name in vocabulary.own
    # Photos may stand in for a shipped label: the model may not know it by its name.
    if taken is not None and not (replace if mine else photos):
        raise VocabularyError(
            f"{name!r} is there already, as {taken.name!r}.",
            "Use --replace to put this one in its place." if mine else "Nothing needs to be added.",
        )
    own_labels.check_name(name)
    if bundle.manifest.text is None and photos is None:
        raise label_embeddings.cannot_read(bundle, name)
    label = Label(
        name=name,
        kind=Kind(kind) if kind else usual_kind(vocabulary),
        scientific_name=scientific,
        ebird_code=ebird,
        prompts=prompts,
        alternatives=alternatives,
        photos=_learn(settings, name, photos) if photos else None,
    )
    own_labels.add(settings.own_labels, label, base, replace=replace)
    # Encodes the prompts now, so that a mistake shows here and not at the daemon's next start.
    embeddings = open_classifier(settings).embeddings
    say(f"added {name} ({label.kind}); {len(embeddings.labels)} labels now")
    if name in {embeddings.labels[place].name for place in embeddings.blocked}:
        note("It is blocked, and never named until `feeder labels unblock`.")
    for pair in confusable.close_pairs(embeddings):
        names = {embeddings.labels[place].name for place in (pair.one, pair.other)}
        if name in names:
            (other,) = names - {name}
            note(f"The model hardly tells it from {other}; `feeder labels check` says more.")
    note(_AT_RELOAD)


@labels.command("remove", epilog=examples('feeder labels remove "House Finch"'))
@click.argument("name")
@click.pass_obj
def remove_label(path: Path, name: str) -> None:
    """Takes a label out; `labels add` with the same name puts a shipped one back."""
    settings = load_or_default(path)
    base = open_vocabulary(settings, open_bundle(settings), own=False)
    label = own_labels.remove(settings.own_labels, name, base)
    say(f"removed {label.name}")
    note(_AT_RELOAD)


@labels.command("block", epilog=examples('feeder labels block "Hooded Crow"'))
@click.argument("name")
@click.pass_obj
def block_label(path: Path, name: str) -> None:
    """Keeps a label from ever being named: the next best is, and the reason says so.

    Other than a removed one it is still compared with, so that a picture of it is not taken for
    no bird at all.
    """
    settings = load_or_default(path)
    base = open_vocabulary(settings, open_bundle(settings), own=False)
    say(f"blocked {own_labels.block(settings.own_labels, name, base).name}")
    note(_AT_RELOAD)


@labels.command("unblock", epilog=examples('feeder labels unblock "Hooded Crow"'))
@click.argument("name")
@click.pass_obj
def unblock_label(path: Path, name: str) -> None:
    """Lets a blocked label be named again."""
    settings = load_or_default(path)
    base = open_vocabulary(settings, open_bundle(settings), own=False)
    if not own_labels.unblock(settings.own_labels, name, base):
        raise VocabularyError(f"{name!r} is not blocked.", "`feeder labels list` shows which are.")
    say(f"unblocked {name}")
    note(_AT_RELOAD)


labels.add_command(check_labels)


def _learn(settings: Settings, name: str, photos: Path) -> Path:
    """Embeds the pictures of a folder and keeps the vectors beside the user's labels."""
    classifier = open_classifier(settings)
    vectors = read_photos(classifier, photos)
    slug = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")
    # The digest keeps names apart that have no Latin letters to tell them by.
    digest = hashlib.sha256(spelling(name).encode()).hexdigest()[:8]
    kept = settings.own_labels.with_suffix("") / f"{slug}-{digest}.npz".lstrip("-")
    label_embeddings.save_photos(kept, vectors, classifier.bundle)
    return kept
