"""`feeder classify`: pictures by hand."""

from pathlib import Path
from typing import Any

import click

from feeder.cli.output import examples, percent, table, write_json
from feeder.cli.wiring import load_or_default, open_classifier
from feeder.errors import BadFrame, FeederError
from feeder.records import prediction_record


@click.command(
    epilog=examples(
        "feeder classify robin.jpg",
        "feeder classify *.jpg --top 3 --json",
        "feeder classify dog.jpg --model clip-vit-base-patch32 --vocabulary dog-breeds",
        'feeder classify apple.jpg --model clip-vit-base-patch32 --text apple --text "an iPod"',
    )
)
@click.argument(
    "images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMG..."
)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="Labels shown.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--model", help="Another bundle than the configured one.")
@click.option("--vocabulary", help="Another vocabulary than the configured one.")
@click.option("--text", "texts", multiple=True, help="Score these texts instead of labels.")
@click.pass_obj
def classify(
    path: Path,
    images: tuple[Path, ...],
    top: int,
    as_json: bool,
    model: str | None,
    vocabulary: str | None,
    texts: tuple[str, ...],
) -> None:
    """Names what is on each picture; nothing is logged."""
    classifier = open_classifier(load_or_default(path), model, vocabulary, top)
    results: list[dict[str, Any]] = []
    for image in images:
        try:
            if texts:
                shares = classifier.predict_proba(image, texts)[0]
                ranked = sorted(zip(texts, shares.tolist(), strict=True), key=lambda at: -at[1])
                results.append(_result(image, ranked[:top]))
            else:
                verdict = prediction_record(classifier.classify_image(image))
                results.append({"file": str(image), **verdict})
        except BadFrame as bad:
            results.append({"file": str(image), "error": str(bad)})
    if as_json:
        write_json(results)
    else:
        table(("file", "verdict", "label", "probability"), _rows(results))
    if any("error" in result for result in results):
        raise FeederError("Some pictures could not be read.", "The result names them.")


def _result(image: Path, ranked: list[tuple[str, float]]) -> dict[str, Any]:
    labels = [{"label": name, "probability": share} for name, share in ranked]
    return {"file": str(image), "labels": labels}


def _rows(results: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for result in results:
        if "error" in result:
            rows.append((result["file"], "error", result["error"], ""))
            continue
        for rank, entry in enumerate(result["labels"]):
            first = (result["file"], result.get("verdict", "")) if rank == 0 else ("", "")
            rows.append((*first, entry["label"], percent(entry["probability"])))
    return rows
