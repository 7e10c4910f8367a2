"""Who is compared. Every import stands in the function that needs it: starting is timed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.workload import Workload

Classify = Callable[[str], Any]
"""The path of a JPEG to probabilities, float32 [labels], in the workload's order."""


@dataclass(frozen=True)
class Contender:
    """`start` loads everything. `exact`: its probabilities must be the baseline's.

    `own_labels`: it has another model with labels of its own, so there is nothing to compare.
    """

    title: str
    start: Callable[[Workload], Classify]
    exact: bool = False
    own_labels: bool = False


# --- Feeder ------------------------------------------------------------------------------------


def feeder(workload: Workload, precision: str, *, warm: bool = True) -> Classify:
    """Feeder's Python API. Without `warm` no prompt was ever embedded on this computer."""
    import tempfile
    from pathlib import Path

    from feeder import Classifier

    fresh = None if warm else tempfile.TemporaryDirectory()
    cache = Path(fresh.name if fresh else f"{workload.caches}/{precision}")
    classifier = Classifier.load(
        workload.model, workload.vocabulary, cache=cache, precision=_precision(precision)
    )
    if fresh:
        fresh.cleanup()
    return lambda path: classifier.predict_proba(path)[0]


def _precision(name: str) -> Any:
    return name


def feeder_daemon(workload: Workload) -> Classify:
    """The loop of `feeder run`: its imports, its decoder process, a durable row for each frame."""
    import atexit
    import dataclasses
    import itertools
    import os
    import tempfile
    from pathlib import Path

    import feeder.cli.run  # noqa: F401  # what the command itself loads
    from feeder import config
    from feeder.cli.wiring import open_station
    from feeder.domain import SettledPath
    from feeder.logbook import Logbook

    home = tempfile.TemporaryDirectory()
    settings = config.parse(_config(workload), Path(home.name) / "config.toml")
    logbook = Logbook.open(settings.database)
    station = open_station(settings, logbook)
    classifier = station.classifier
    logbook.register_model(classifier.bundle.digest, classifier.bundle.manifest.name)
    logbook.register_vocabulary(classifier.embeddings.digest, classifier.labels)
    classifier.tagger.register(logbook)
    station.inbox.start()
    for close in (home.cleanup, logbook.close, station.close):  # run last to first
        atexit.register(close)
    (deployment,) = settings.deployments
    serial = itertools.count()

    def classify(name: str) -> Any:
        path = Path(name)
        status = os.stat(path)
        source = SettledPath(deployment, path, status.st_size, status.st_mtime_ns)
        frame = station.reader.decode(station.reader.read(source))
        prediction = classifier.classify(frame)
        # The log takes the same bytes once, and these few pictures are shown many times.
        new = dataclasses.replace(frame, sha256=f"{next(serial):064x}")
        logbook.append(new, prediction)
        logbook.commit()
        assert prediction.embedding is not None
        return classifier.probabilities(prediction.embedding[None])[0]

    return classify


def _config(workload: Workload) -> str:
    return f"""
[[deployment]]
name = "garden"
folder = '{workload.picture_folder}'
[model]
bundle = '{workload.model}'
vocabulary = '{workload.vocabulary}'
precision = "int8"
[logbook]
cache = '{workload.caches}/int8'
"""


def feeder_starter(workload: Workload) -> Classify:
    """The small model that comes with Feeder, under its own labels."""
    from feeder import Classifier

    classifier = Classifier.load("starter")
    return lambda path: classifier.predict_proba(path)[0]


# --- the peers ---------------------------------------------------------------------------------


def pipeline(workload: Workload) -> Classify:
    """What a tutorial shows: transformers' pipeline, which reads every label for every picture."""
    from transformers import pipeline as make

    classify = make("zero-shot-image-classification", model=workload.checkpoint)
    labels, template = list(workload.labels), workload.template.replace("{label}", "{}")

    def probabilities(path: str) -> Any:
        import numpy as np

        answers = classify(path, candidate_labels=labels, hypothesis_template=template)
        scores = {answer["label"]: answer["score"] for answer in answers}
        return np.array([scores[label] for label in labels], np.float32)

    return probabilities


def script(workload: Workload, suffix: str = "", *, text_each_frame: bool = False) -> Classify:
    """A plain script over two ONNX Runtime sessions with default options."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    vision = onnxruntime.InferenceSession(f"{workload.model}/onnx/vision_model{suffix}.onnx")
    text = onnxruntime.InferenceSession(f"{workload.model}/onnx/text_model{suffix}.onnx")
    tokenizer = Tokenizer.from_file(f"{workload.model}/tokenizer.json")
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("<|endoftext|>"))
    prompts = workload.prompts
    pixels, scale = _plain_preprocessing(workload)

    def read_labels() -> Any:
        ids = np.array([row.ids for row in tokenizer.encode_batch(prompts)], np.int64)
        return _unit(text.run(None, {"input_ids": ids})[0])

    known = None if text_each_frame else read_labels()

    def classify(path: str) -> Any:
        image = _unit(vision.run(None, {"pixel_values": pixels(path)})[0])
        labels = read_labels() if known is None else known
        return _softmax(scale * (labels @ image[0]))

    return classify


def image_script(workload: Workload) -> Classify:
    """The least there is: one int8 session with default options, the labels' vectors in a file."""
    import numpy as np
    import onnxruntime

    vision = onnxruntime.InferenceSession(f"{workload.model}/onnx/vision_model_quantized.onnx")
    labels = np.load(workload.label_vectors)
    pixels, scale = _plain_preprocessing(workload)

    def classify(path: str) -> Any:
        image = _unit(vision.run(None, {"pixel_values": pixels(path)})[0])
        return _softmax(scale * (labels @ image[0]))

    return classify


def _plain_preprocessing(workload: Workload) -> tuple[Callable[[str], Any], float]:
    """CLIP's preprocessing as a script writes it, to [1, 3, size, size]; and the logit scale."""
    import json

    import numpy as np
    from PIL import Image

    with open(f"{workload.model}/config.json", encoding="utf-8") as file:
        scale = json.load(file)["feeder_logit_scale"]
    with open(f"{workload.model}/preprocessor_config.json", encoding="utf-8") as file:
        how = json.load(file)
    size = how["size"]["shortest_edge"]
    mean, std = (np.array(how[name], np.float32) for name in ("image_mean", "image_std"))

    def pixels(path: str) -> Any:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        short = min(image.size)
        width, height = (int(size * edge / short) for edge in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
        values = (np.asarray(image, np.float32) / 255 - mean) / std
        return values.transpose(2, 0, 1)[None]

    return pixels, scale


def _unit(vectors: Any) -> Any:
    return vectors / ((vectors**2).sum(axis=1, keepdims=True) ** 0.5)


def _softmax(logits: Any) -> Any:
    import numpy as np

    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


BASELINE = "pipeline"

CONTENDERS = {
    "feeder-int8": Contender("Feeder, int8", partial(feeder, precision="int8")),
    "feeder-fp32": Contender("Feeder, fp32", partial(feeder, precision="fp32"), exact=True),
    "feeder-daemon": Contender("Feeder's daemon, int8, into the log", feeder_daemon),
    "feeder-cold": Contender(
        "Feeder, int8, its very first start", partial(feeder, precision="int8", warm=False)
    ),
    "pipeline": Contender("transformers pipeline", pipeline, exact=True),
    "script-int8": Contender(
        "onnxruntime script, int8, labels read once", partial(script, suffix="_quantized")
    ),
    "script-fp32": Contender("onnxruntime script, fp32, labels read once", script, exact=True),
    "script-each-frame": Contender(
        "onnxruntime script, fp32, labels read each frame",
        partial(script, text_each_frame=True),
        exact=True,
    ),
    "script-image": Contender("onnxruntime script, int8, image alone", image_script),
    "feeder-starter": Contender("Feeder, starter model", feeder_starter, own_labels=True),
}
