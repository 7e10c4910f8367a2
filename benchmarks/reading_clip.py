"""A CLIP that reads, small enough to train here: drawn birds, written words, and their sentences.

    python -m benchmarks.reading_clip FOLDER    # a sealed bundle, in two minutes of processor time

No published CLIP can be had offline, and a random one reads nothing. This one has seen birds and
notes. As on the web, what is written in a picture is its caption whatever else is seen there, as
the thing or as a word, each sentence as often as any other: so it takes the one for the other.
It shows that an attack and a defence work at all, never how well they do on a published model.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw, ImageFilter
from torch import nn

from benchmarks.notes import Note, paste_note
from feeder import reading
from feeder.bundle import Graph, Manifest, Preprocessing, TextEncoding, seal

BIRDS = {
    "robin": ((120, 95, 70), (210, 90, 40)),
    "jay": ((60, 100, 190), (225, 225, 230)),
    "siskin": ((150, 160, 50), (230, 215, 70)),
    "crow": ((25, 25, 30), (45, 45, 50)),
    "egret": ((235, 235, 235), (250, 250, 250)),
    "parakeet": ((50, 160, 70), (120, 200, 90)),
}
"""Species, with the colours of back and belly."""

PHOTO, GARDEN = "a photo of a {label}.", "a photo of a garden."
SIZE, WIDTH, SCALE, STEPS = 64, 48, 20.0, 300


def scene(rng: np.random.Generator, edge: int = 96) -> Image.Image:
    """A blurred garden."""
    rough = rng.integers(30, 200, (6, 6, 3), np.uint8)
    rough[..., 1] = np.minimum(rough[..., 1] + 40, 255)
    smooth = Image.fromarray(rough).resize((edge, edge), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 6, (edge, edge, 3))
    return Image.fromarray(np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8))


def with_bird(
    image: Image.Image, name: str, rng: np.random.Generator, length: float = 0.0
) -> Image.Image:
    """The scene with a bird in it, `length` of its edge long; by itself about half."""
    edge = image.width
    long = (length or rng.uniform(0.35, 0.65)) * edge
    tall = 0.55 * long
    x, y = rng.uniform(0, edge - long), rng.uniform(0.1 * edge, 0.9 * edge - tall)
    back, belly = (tuple(int(c + rng.normal(0, 8)) for c in part) for part in BIRDS[name])
    drawn = image.copy()
    draw = ImageDraw.Draw(drawn)
    draw.polygon([(x, y), (x + 0.3 * long, y + 0.3 * tall), (x, y + 0.5 * tall)], back)
    draw.ellipse((x + 0.1 * long, y + 0.1 * tall, x + 0.85 * long, y + tall), back)
    draw.ellipse((x + 0.3 * long, y + 0.5 * tall, x + 0.85 * long, y + 0.98 * tall), belly)
    draw.ellipse((x + 0.65 * long, y, x + 0.95 * long, y + 0.5 * tall), back)
    beak = [(x + 0.94 * long, y + 0.2 * tall), (x + long, y + 0.27 * tall)]
    draw.polygon([*beak, (x + 0.94 * long, y + 0.33 * tall)], (230, 170, 40))
    drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else drawn
    return drawn.filter(ImageFilter.GaussianBlur(0.6))


def note_for(rng: np.random.Generator) -> Note:
    """A note at the lower edge, large enough to be read at 64 x 64 pixels."""
    return Note(
        width=rng.uniform(0.65, 0.85),
        contrast="strong" if rng.random() < 0.8 else "faint",
        tilt=rng.uniform(-3, 3),
        x=rng.uniform(0.3, 0.7),
        y=rng.uniform(0.85, 1),
    )


def examples(count: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Pictures, uint8 [count, size, size, 3], and a caption of each."""
    rng = np.random.default_rng(seed)
    names, pictures, captions = list(BIRDS), [], []
    for number in range(count):
        name, image = names[rng.integers(len(names))], scene(rng)
        if number % 10 == 0:
            captions.append(GARDEN)
        elif number % 2:
            image = with_bird(image, name, rng)
            captions.append(PHOTO.replace("{label}", name))
        else:
            # Half of the signs stand before something else than what they say.
            if number % 4 == 0:
                image = with_bird(image, names[rng.integers(len(names))], rng)
            image, _ = paste_note(image, name, note_for(rng))
            templates = (PHOTO, *reading.TEMPLATES)
            captions.append(templates[rng.integers(len(templates))].replace("{label}", name))
        pictures.append(np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)))
    return np.stack(pictures), captions


class Towers(nn.Module):
    """Pixels in [-1, 1] and bags of words, each to a vector."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1)
            for a, b in ((3, 24), (24, 48), (48, 64), (64, 64))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in (24, 48, 64, 64))
        self.image = nn.Linear(64 * 16, WIDTH)
        self.tokens = nn.Embedding(words, 48)
        self.hidden, self.text = nn.Linear(48, 96), nn.Linear(96, WIDTH)

    def pictures(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 [n, 3, size, size] -> unit vectors [n, d]."""
        for layer, norm in zip(self.convolutions, self.norms, strict=True):
            pixels = torch.relu(norm(layer(pixels)))
        return nn.functional.normalize(self.image(pixels.flatten(1)))

    def sentences(self, bags: torch.Tensor) -> torch.Tensor:
        """Word counts, float32 [n, words] -> unit vectors [n, d]."""
        summed = bags @ self.tokens.weight
        return nn.functional.normalize(self.text(torch.tanh(self.hidden(summed))))


def tokens(sentence: str) -> list[str]:
    """Words and marks, as the tokenizer of the bundle takes them apart."""
    return "".join(f" {c} " if not c.isalnum() else c for c in sentence.lower()).split()


def train(steps: int, seed: int = 0, count: int = 6000) -> tuple[Towers, list[str]]:
    """The towers and their words, after so many batches of sentences and pictures."""
    pictures, captions = examples(count, seed)
    words = sorted({word for caption in captions for word in tokens(caption)})
    known = sorted(set(captions))
    bags = torch.tensor([[tokens(one).count(word) for word in words] for one in known]).float()
    truth = torch.tensor([known.index(caption) for caption in captions])
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    torch.manual_seed(seed)
    towers = Towers(len(words))
    optimiser = torch.optim.AdamW(towers.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    chooser = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(pixels), (128,), generator=chooser)
        seen = towers.pictures(pixels[rows].float() / 127.5 - 1)
        logits = SCALE * seen @ towers.sentences(bags).T
        loss = nn.functional.cross_entropy(logits, truth[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return towers.eval(), words


def write_bundle(folder: Path, towers: Towers, words: Sequence[str]) -> Path:
    """A sealed bundle of the towers in `folder`, with its own word-level tokenizer."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    weights = {name: one.detach().numpy() for name, one in towers.state_dict().items()}
    _save(_vision(weights), folder / "onnx/vision_model.onnx")
    _save(_text(weights), folder / "onnx/text_model.onnx")
    vocabulary = {word: place for place, word in enumerate([*words, "[unk]", "[pad]"])}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[unk]"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    manifest = Manifest(
        name=folder.name,
        architecture="clip",
        source="benchmarks/reading_clip.py",
        license="apache-2.0",
        embedding_width=WIDTH,
        logit_scale=SCALE,
        preprocessing=Preprocessing(
            size=SIZE, resize=SIZE, views=("squash",), mean=(0.5,) * 3, std=(0.5,) * 3
        ),
        image=Graph(files={"fp32": "onnx/vision_model.onnx"}, output="image_embeds"),
        text=Graph(files={"fp32": "onnx/text_model.onnx"}, output="text_embeds"),
        text_encoding=TextEncoding(context_length=24, pad_id=vocabulary["[pad]"], lowercase=True),
    )
    seal(folder, manifest)
    return folder


def vocabulary_file(folder: Path) -> Path:
    """The labels it knows, as a vocabulary beside the bundle."""
    labels = [f'[[label]]\nname = "{name}"\nkind = "bird"\n' for name in BIRDS]
    labels.append(f'[[label]]\nname = "garden"\nkind = "blank"\nprompts = ["{GARDEN}"]\n')
    path = folder.with_suffix(".toml")
    path.write_text(f'templates = ["{PHOTO}"]\n' + "\n".join(labels), encoding="utf-8")
    return path


def _vision(weights: dict[str, Any]) -> onnx.ModelProto:
    nodes, last = [], "pixel_values"
    weights = dict(weights)
    for layer in range(4):
        _fold(weights, layer)
        names = [f"convolutions.{layer}.weight", f"convolutions.{layer}.bias"]
        nodes.append(
            helper.make_node(
                "Conv", [last, *names], [f"c{layer}"], strides=[2, 2], pads=[1, 1, 1, 1]
            )
        )
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        last = f"r{layer}"
    nodes += [
        helper.make_node("Flatten", [last], ["flat"]),
        helper.make_node(
            "Gemm", ["flat", "image.weight", "image.bias"], ["image_embeds"], transB=1
        ),
    ]
    pixels = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    used = {name: one for name, one in weights.items() if name.startswith(("conv", "image"))}
    return _model(nodes, pixels, "image_embeds", used)


def _fold(weights: dict[str, Any], layer: int) -> None:
    """Works a layer's normalisation into its convolution: as trained, it is a factor and a sum."""
    norm = {
        part: weights[f"norms.{layer}.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var")
    }
    factor = norm["weight"] / np.sqrt(norm["running_var"] + 1e-5)
    kernel, bias = f"convolutions.{layer}.weight", f"convolutions.{layer}.bias"
    weights[kernel] = weights[kernel] * factor[:, None, None, None]
    weights[bias] = (weights[bias] - norm["running_mean"]) * factor + norm["bias"]


def _text(weights: dict[str, Any]) -> onnx.ModelProto:
    """Unknown words and padding are rows of zeros: a bag of words has no other way to say none."""
    table = np.concatenate([weights["tokens.weight"], np.zeros((2, 48), np.float32)])
    used = {name: one for name, one in weights.items() if name.startswith(("hidden", "text"))}
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"]),
        helper.make_node("ReduceSum", ["each", "axis"], ["summed"], keepdims=0),
        helper.make_node("Gemm", ["summed", "hidden.weight", "hidden.bias"], ["h"], transB=1),
        helper.make_node("Tanh", ["h"], ["active"]),
        helper.make_node("Gemm", ["active", "text.weight", "text.bias"], ["text_embeds"], transB=1),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
    axis = np.array([1], np.int64)
    return _model(nodes, ids, "text_embeds", {**used, "table": table, "axis": axis})


def _model(nodes: Any, given: Any, output: str, weights: dict[str, Any]) -> onnx.ModelProto:
    embeds = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", WIDTH])
    stored = [numpy_helper.from_array(np.ascontiguousarray(w), n) for n, w in weights.items()]
    graph = helper.make_graph(nodes, "reading", [given], [embeds], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _save(model: onnx.ModelProto, path: Path) -> None:
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    write_bundle(options.folder, *train(options.steps))
    print(f"{options.folder}, with {vocabulary_file(options.folder)}")


if __name__ == "__main__":
    main()
