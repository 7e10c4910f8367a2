"""`feeder attributes`: what else is asked of a frame."""

from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.progress import Progress

from feeder import attributes as side_vocabularies
from feeder import config, label_embeddings
from feeder.attributes import AskedOf
from feeder.cli import tag_text
from feeder.cli.label_photos import read_photos
from feeder.cli.output import err, examples, local, note, percent, say, table, write_json
from feeder.cli.wiring import load_or_default, open_classifier
from feeder.clock import Clock
from feeder.embedding_store import EmbeddingStore
from feeder.errors import VocabularyError
from feeder.log_records import feeder_record
from feeder.refill import FeederState
from feeder.retag import retag
from feeder.tag_log import TagLog
from feeder.tagging import Tagger


@click.group(
    epilog=examples(
        "feeder attributes list",
        "feeder attributes learn feeder=empty --photos ~/feeder-empty",
        "feeder attributes learn feeder=full --photos ~/feeder-full",
        "feeder attributes again           # the whole history, from its embeddings",
        "feeder attributes status          # does the feeder want filling?",
        "feeder sightings --tag behaviour=bathing",
    )
)
def attributes() -> None:
    """What else is asked of a frame: behaviour, sex, age, the feeder, the lens, and yours.

    A running daemon takes changes up at SIGHUP.
    """


@attributes.command(
    "list", epilog=examples("feeder attributes list", "feeder attributes list --json")
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def list_attributes(path: Path, as_json: bool) -> None:
    """Shows every attribute, its values, and whether this model can tell them."""
    settings = load_or_default(path)
    classifier = open_classifier(settings)
    found: dict[tuple[str, str], int] = {}
    if settings.database.exists():
        with TagLog(settings.database) as log:
            found = {(one.attribute, one.value): one.frames for one in log.counted()}
    asked = [question.attribute for question in classifier.tagger.questions]
    counts = [
        {
            value.name: found.get((attribute.name, value.name), 0)
            for value in attribute.values
            if not value.neutral
        }
        for attribute in asked
    ]
    told_by = [question.learnt_from for question in classifier.tagger.questions]
    if as_json:
        rows = [
            {
                "attribute": attribute.name,
                "asked_of": attribute.asked_of,
                "told_by": told,
                "threshold": attribute.threshold,
                "frames": count,
            }
            for attribute, told, count in zip(asked, told_by, counts, strict=True)
        ]
        write_json({"asked": rows, "not_asked": dict(classifier.tagger.unasked)})
        return
    table(
        ("attribute", "asked of", "told by", "from", "values (frames in the log)"),
        [
            (
                attribute.name,
                "birds" if attribute.asked_of is AskedOf.BIRD else "every frame",
                told,
                percent(attribute.threshold),
                ", ".join(f"{value} ({frames})" for value, frames in count.items()),
            )
            for attribute, told, count in zip(asked, told_by, counts, strict=True)
        ],
    )
    if classifier.tagger.unasked:
        note(unasked_line(classifier.tagger))


def unasked_line(tagger: Tagger) -> str:
    """Which attributes are not asked, why, and what would help, in one line."""
    reasons: dict[str, list[str]] = {}
    for name, reason in tagger.unasked:
        reasons.setdefault(reason, []).append(name)
    said = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
    return f"not asked: {said}. `feeder attributes learn --help` shows how photos teach one"


@attributes.command(
    epilog=examples(
        "feeder attributes learn feeder=empty --photos ~/feeder-empty",
        "feeder attributes learn feeder=full --photos ~/feeder-full",
        "feeder attributes learn moult=yes --of bird --photos ~/moulting",
    )
)
@click.argument("tag", metavar="ATTRIBUTE=VALUE")
@click.option(
    "--photos",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The pictures to learn from, best of your own camera; 3 at least, 20 serve better.",
)
@click.option(
    "--of",
    "asked_of",
    type=click.Choice([each.value for each in AskedOf]),
    help="What a new attribute is asked of: frames that show a bird, or every frame.",
)
@click.pass_obj
def learn(path: Path, tag: str, photos: Path, asked_of: str | None) -> None:
    """Learns a value from example photos, on every model; an attribute needs two such values.

    Once it has two, photos alone tell that attribute, and its words count no longer.
    """
    attribute, value = tag_text.parse(tag)
    settings = load_or_default(path)
    own = settings.own_attributes
    kept = side_vocabularies.photos_path(own, attribute, value)
    classifier = open_classifier(settings)
    if not side_vocabularies.is_known(attribute, settings.attribute_folders, own):
        if asked_of is None:
            raise VocabularyError(
                f"{attribute!r} is new.", "Say what it is asked of: --of bird, or --of frame."
            )
        side_vocabularies.write(own, attribute, AskedOf(asked_of))
    elif asked_of is not None:
        raise click.BadParameter(f"{attribute!r} has a file that says it", param_hint="--of")
    vectors = read_photos(classifier, photos)
    label_embeddings.save_photos(kept, vectors, classifier.bundle)
    say(f"learnt {attribute}={value} from {len(vectors)} photos")
    tagger = open_classifier(settings).tagger
    for question in tagger.questions:
        if question.attribute.name == attribute and question.shown:
            others = ", ".join(one.name for one in question.attribute.values)
            say(
                f"{attribute} is told by photos now ({others}): of {question.shown}, each left "
                f"out in turn, {question.right} are told right by the others"
            )
    for name, reason in tagger.unasked:
        if name == attribute:
            say(f"{attribute} is not asked yet: {reason}")


@attributes.command(epilog=examples("feeder attributes forget feeder=empty"))
@click.argument("tag", metavar="ATTRIBUTE=VALUE")
@click.pass_obj
def forget(path: Path, tag: str) -> None:
    """Forgets the example photos of a value; tags in the log stay until `again`."""
    attribute, value = tag_text.parse(tag)
    settings = load_or_default(path)
    kept = side_vocabularies.photos_path(settings.own_attributes, attribute, value)
    if not kept.is_file():
        raise VocabularyError(
            f"Nothing was learnt of {attribute}={value}.",
            "`feeder attributes list` shows what was.",
        )
    kept.unlink()
    say(f"forgot {attribute}={value}")


@attributes.command(epilog=examples("feeder attributes again", "feeder attributes again --json"))
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def again(path: Path, as_json: bool) -> None:
    """Asks the whole history for its tags again, from its embeddings, without the pictures.

    What was said before goes. The daemon may run meanwhile; broken off, it goes on where it was.
    """
    settings = config.load(path)
    classifier = open_classifier(settings)
    bundle, tagger = classifier.bundle, classifier.tagger
    with TagLog(settings.database) as log:
        log.observations.register_model(bundle.digest, bundle.manifest.name)
        tagger.register(log.observations)
        store = EmbeddingStore.open(settings.database, bundle.digest, settings.cache)
        with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("asking again", total=None)
            written = retag(
                store,
                log,
                tagger,
                bundle.digest,
                progress=lambda done, of: bar.update(task, completed=done, total=of),
            )
    if as_json:
        write_json({"frames": len(store), "tags": written})
    else:
        names = ", ".join(question.attribute.name for question in tagger.questions) or "nothing"
        say(f"asked {len(store)} frames again ({names}): {written} tags")
    if tagger.unasked and not as_json:
        note(unasked_line(tagger))


@attributes.command(epilog=examples("feeder attributes status", "feeder attributes status --json"))
@click.option("--json", "as_json", is_flag=True, help="Write JSON, times in UTC.")
@click.pass_obj
def status(path: Path, as_json: bool) -> None:
    """Says of each camera whether its feeder wants filling."""
    settings = config.load(path)
    now = Clock().now()
    with TagLog(settings.database) as log:
        states = log.feeder_states([one.name for one in settings.deployments], now)
    if as_json:
        write_json([feeder_record(name, at) for name, at in states.items()])
        return
    zones = {one.name: one.zone for one in settings.deployments}
    for name, state in states.items():
        say(f"{name}: {_in_words(state, zones[name])}")


def _in_words(state: FeederState, zone: ZoneInfo | None) -> str:
    if state.looked is None:
        return "nothing is known of the feeder; `feeder attributes list` says what is asked"
    if state.is_empty is None or state.since is None:
        return f"not enough is known of the feeder (last looked at {local(state.looked, zone)})"
    what = "the feeder looks empty (refill me)" if state.is_empty else "the feeder looks full"
    return f"{what} since {local(state.since, zone)}, last looked at {local(state.looked, zone)}"
