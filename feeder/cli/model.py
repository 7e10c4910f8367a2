"""`feeder model`: the bundles."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from feeder import bundle as bundles
from feeder import config, hub
from feeder.bundle import CHECKSUM, Bundle, golden_image
from feeder.cli.output import examples, note, say, table, write_json
from feeder.cli.wiring import load_or_default, open_bundle, open_classifier
from feeder.encoder import ImageEncoder
from feeder.errors import BundleError
from feeder.service import control


@click.group(
    epilog=examples(
        "feeder model list",
        "feeder model pull Xenova/clip-vit-base-patch32",
        "feeder model use clip-vit-base-patch32",
    )
)
def model() -> None:
    """Lists, checks, fetches and chooses models."""


@model.command("list", epilog=examples("feeder model list --json"))
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def list_models(path: Path, as_json: bool) -> None:
    """Shows the models there are; the one in use has a star."""
    settings = load_or_default(path)
    used = settings.bundle_name
    rows: list[dict[str, Any]] = [
        {
            "name": bundle.folder.name,
            "in_use": used in (bundle.folder.name, str(bundle.folder)),
            "reads_text": bundle.manifest.text is not None,
            "precisions": list(bundle.manifest.image.files),
            "embedding_width": bundle.manifest.embedding_width,
            "license": bundle.manifest.license,
            "folder": bundle.folder,
        }
        for bundle in _readable(bundles.listed(settings.model_folders))
    ]
    if as_json:
        write_json(rows)
        return
    table(
        ("", "name", "reads text", "precisions", "width", "license", "folder"),
        (
            (
                "*" if row["in_use"] else "",
                row["name"],
                "yes" if row["reads_text"] else "no",
                ", ".join(row["precisions"]),
                row["embedding_width"],
                row["license"],
                row["folder"],
            )
            for row in rows
        ),
    )


@model.command("verify", epilog=examples("feeder model verify", "feeder model verify starter"))
@click.argument("name", required=False)
@click.pass_obj
def verify(path: Path, name: str | None) -> None:
    """Checks every file of a model against its manifest, then runs its self-test."""
    settings = load_or_default(path)
    bundle = open_bundle(settings, name)
    bundle.verify()
    open_classifier(settings, name)
    say(f"{bundle.manifest.name}: {len(bundle.manifest.files)} files as the manifest says")
    say("self-test passed" if bundle.manifest.self_test else "it brings no self-test")


@model.command("seal", epilog=examples("feeder model seal my-clip"))
@click.argument("name")
@click.pass_obj
def seal(path: Path, name: str) -> None:
    """Pins a manifest that has no checksum yet, once its files and self-test agree with it.

    For a bundle of an earlier release, or one whose manifest.json you changed yourself.
    """
    folder = bundles.find(name, load_or_default(path).model_folders)
    if (folder / CHECKSUM).exists():
        Bundle.open(folder).verify()
        say(f"{folder} is sealed already")
        return
    bundle = Bundle.open_unsealed(folder)
    bundle.verify()
    ImageEncoder(bundle)
    bundles.pin_manifest(folder)
    say(f"{bundle.manifest.name}: sealed, {len(bundle.manifest.files)} files as the manifest says")


@model.command(
    "pull",
    epilog=examples(
        "feeder model pull Xenova/clip-vit-base-patch32",
        "feeder model pull OWNER/NAME --precision both --name my-clip --logit-scale 100",
        "feeder model pull /media/usb/clip-vit-base-patch32",
    ),
)
@click.argument("source", metavar="ID|FOLDER")
@click.option("--name", help="What to call it here.")
@click.option("--precision", type=click.Choice(["int8", "fp32", "both"]), default="int8")
@click.option("--revision", help="Branch, tag or commit.")
@click.option("--logit-scale", type=float, help="Where the folder does not record it.")
@click.option("--replace", is_flag=True, help="In place of a model of that name.")
@click.pass_obj
def pull(
    path: Path,
    source: str,
    name: str | None,
    precision: hub.Wanted,
    revision: str | None,
    logit_scale: float | None,
    replace: bool,
) -> None:
    """Brings a CLIP or SigLIP that is published as ONNX, from a hub or a folder.

    A broken download goes on where it stopped. HF_ENDPOINT names another hub.
    """
    settings = load_or_default(path)
    into = settings.resolve(settings.model.folder) / (name or hub.default_name(source))
    pulled = hub.pull(
        source,
        into,
        precision=precision,
        revision=revision,
        logit_scale=logit_scale,
        replace=replace,
        progress=note,
    )
    say(f"{pulled.manifest.name} is in {into}\nnext: feeder model use {into.name}")


@model.command("use", epilog=examples("feeder model use clip-vit-base-patch32"))
@click.argument("name")
@click.pass_obj
def use(path: Path, name: str) -> None:
    """Makes a model the configured one, after a trial run on this computer."""
    settings = config.load(path)
    classifier = open_classifier(settings, name)
    picture = golden_image()
    began = time.monotonic()
    classifier.classify_image(picture)
    milliseconds = (time.monotonic() - began) * 1000
    # A path means one from here; in the file it would start at the file.
    config.set_bundle(path, str(Path(name).absolute()) if len(Path(name).parts) > 1 else name)
    say(
        f"{name}: {len(classifier.labels)} labels, {milliseconds:.0f} ms for a picture here\n"
        f"{path} now names it; a running daemon takes it up at SIGHUP ({control()} reload feeder)"
    )


def _readable(folders: list[Path]) -> Iterator[Bundle]:
    """The bundles whose manifests can be read; of the others a note is made."""
    for folder in folders:
        try:
            yield Bundle.open(folder)
        except BundleError as error:
            note(f"left out: {error}")
