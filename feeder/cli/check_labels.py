"""`feeder labels check`: labels that are in each other's way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.progress import track

from feeder import confusable
from feeder.classifier import Classifier
from feeder.cli.output import err, examples, note, say, table, write_json
from feeder.cli.wiring import load_or_default, open_classifier
from feeder.config import Settings
from feeder.domain import Vectors
from feeder.embedding_store import EmbeddingStore
from feeder.label_embeddings import LabelEmbeddings

_SHOWN = 12


@click.command("check", epilog=examples("feeder labels check", "feeder labels check --json"))
@click.option("--vocabulary", help="Another vocabulary than the configured one.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def check_labels(path: Path, vocabulary: str | None, as_json: bool) -> None:
    """Finds labels that the model hardly tells apart, and labels that never win.

    "apart" is the distance of two labels' vectors, where 1 is that of a usual pair: at 0.5 a
    picture tells them apart half as well. A label never wins where another one is better even on
    a picture just like its own prompts or photos; and where it was neither best nor second in the
    whole log, if that holds 1000 frames.
    """
    settings = load_or_default(path)
    classifier = open_classifier(settings, vocabulary=vocabulary)
    found = _findings(classifier, settings)
    if as_json:
        write_json(found)
        return
    for one in found["overruled"]:
        say(f"{one['label']} never wins: {one['by']} is better even on a picture just like it")
    for one in found["without_vector"]:
        say(f"{one} is never named: the model has no vector for it")
    if found["close"]:
        table(
            ("hardly told apart", "cosine", "apart", "named together"),
            [
                (" / ".join(one["labels"]), f"{one['cosine']:.2f}", f"{one['apart']:.2f}",
                 one["group"] or "")
                for one in found["close"]
            ],
        )  # fmt: skip
    else:
        say("Every label is told apart from every other.")
    never = found["never_near"]
    if never:
        said = ", ".join(never[:_SHOWN])
        more = f" and {len(never) - _SHOWN} more" if len(never) > _SHOWN else ""
        say(f"Neither best nor second in {found['frames']} frames: {said}{more}")
    elif found["frames"] < confusable.ENOUGH_FRAMES:
        note(f"The log has {found['frames']} frames of this model: too few to say who never wins.")


def _findings(classifier: Classifier, settings: Settings) -> dict[str, Any]:
    embeddings = classifier.embeddings
    names = [label.name for label in embeddings.labels]
    frames, never = confusable.never_near(_history(classifier, settings), len(names))
    is_enough = frames >= confusable.ENOUGH_FRAMES
    return {
        "close": [
            {
                "labels": [names[pair.one], names[pair.other]],
                "cosine": pair.cosine,
                "apart": pair.share,
                "group": _group(embeddings, pair),
            }
            for pair in confusable.close_pairs(embeddings)
        ],
        "overruled": [
            {"label": names[one.label], "by": names[one.by], "logits": one.lead}
            for one in confusable.overruled(embeddings, classifier.bundle.manifest.logit_scale)
        ],
        "without_vector": list(embeddings.skipped),
        "frames": frames,
        "never_near": [
            name
            for place, name in enumerate(names)
            if is_enough and never[place] and place not in embeddings.blocked
        ],
    }


def _group(embeddings: LabelEmbeddings, pair: confusable.Pair) -> str | None:
    """The smallest group with both labels in it: what a verdict says where it is one of the two."""
    for label, members in embeddings.groups:
        if pair.one in members and pair.other in members:
            return label.name
    return None


def _history(classifier: Classifier, settings: Settings) -> Iterator[Vectors]:
    """The probabilities of every logged frame, as they are without a place."""
    if not settings.database.exists():
        return
    store = EmbeddingStore.open(settings.database, classifier.bundle.digest, settings.cache)
    chunks = track(store.chunks(), "reading the log", console=err, transient=True)
    for _, vectors in chunks if len(store) > confusable.ENOUGH_FRAMES else store.chunks():
        yield classifier.probabilities(vectors, classifier.anywhere)
