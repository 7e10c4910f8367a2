"""Does an exported bundle compute what its PyTorch model does? Measured before it is published."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from feeder.bundle import Bundle, Manifest, Precision, golden_image
from feeder.domain import Vectors
from feeder.encoder import ImageEncoder, TextEncoder, unit
from feeder.errors import BundleError
from feeder.preprocess import preprocess

MAX_DIFFERENCE = 1e-4  # torch against fp32 ONNX, on unit vectors
MIN_IMAGE_COSINE = 0.90  # int8 against fp32, the worst sample
MIN_MEAN_COSINE = 0.95  # and their mean
MIN_AGREEMENT = 0.90  # same best text, among the samples where fp32 itself is decided:
DECIDED = 0.2  # ahead of the second text by this much probability

BIRDS = ("blue jay", "northern cardinal", "house sparrow", "great tit", "mourning dove", "robin")
OTHERS = ("squirrel", "cat", "person", "empty bird feeder", "branch with leaves", "night sky")
UNEQUAL = ("bird", "a photo of a Black-capped Chickadee, a type of bird.", "Ünïcode 123")
TEXTS = tuple(f"a photo of a {name}." for name in BIRDS + OTHERS)

Say = Callable[[str], None]


def against_torch(model: Any, bundle: Bundle, say: Say) -> None:
    """Raises BundleError where fp32 ONNX and PyTorch differ, for one input or for three."""
    import torch

    images, texts = ImageEncoder(bundle, "fp32"), TextEncoder(bundle, "fp32")
    for n in (1, 3):
        pixels = _pixels(list(itertools.islice(variants(), n)), bundle.manifest)
        prompts = UNEQUAL[:n]
        with torch.no_grad():
            image = model.get_image_features(torch.from_numpy(pixels)).numpy()
            text = model.get_text_features(**_tokens(bundle, prompts)).numpy()
        _compare(f"image, batch {n}", images.embed(pixels), unit(image), say)
        _compare(f"text, batch {n}", texts.embed(prompts), unit(text), say)


def _tokens(bundle: Bundle, prompts: Sequence[str]) -> dict[str, Any]:
    """Token ids by transformers' own tokenizer, which Feeder's must equal."""
    from transformers import PreTrainedTokenizerFast

    how = bundle.manifest.text_encoding
    assert how is not None
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(bundle.path("tokenizer.json")))
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(how.pad_id)
    encoded = tokenizer(
        [prompt.lower() if how.lowercase else prompt for prompt in prompts],
        padding="max_length" if how.pad_to_context else True,
        truncation=True,
        max_length=how.context_length,
        return_tensors="pt",
    )
    wanted = ("input_ids",) if how.pad_to_context else ("input_ids", "attention_mask")
    return {name: encoded[name] for name in wanted}


def _compare(what: str, got: Vectors, expected: Vectors, say: Say) -> None:
    difference = float(np.abs(got - expected).max())
    say(f"  {what}: differs from PyTorch by {difference:.1e} (at most {MAX_DIFFERENCE:.0e})")
    # Written so that NaN fails too.
    if not difference < MAX_DIFFERENCE:
        raise BundleError(
            f"{what}: the ONNX graph differs from PyTorch by {difference:.1e}; nothing published.",
            "Another version of torch, transformers or optimum may export it right.",
        )


def int8_against_fp32(bundle: Bundle, pictures: Sequence[Image.Image], say: Say) -> None:
    """Raises BundleError where the int8 graphs see or decide otherwise than fp32."""
    images, texts = {}, {}
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    for precision in precisions:
        encoder = ImageEncoder(bundle, precision)
        rows = [encoder.embed(_pixels([picture], bundle.manifest)) for picture in pictures]
        images[precision] = np.concatenate(rows)
        texts[precision] = TextEncoder(bundle, precision).embed(TEXTS)
    scale = bundle.manifest.logit_scale
    fp32, int8 = (_softmax(scale * images[each] @ texts[each].T) for each in precisions)
    cosines = (images["fp32"] * images["int8"]).sum(axis=1)
    first, second = np.sort(fp32, axis=1)[:, [-1, -2]].T
    decided = first - second >= DECIDED
    same = float((fp32.argmax(1) == int8.argmax(1))[decided].mean()) if decided.any() else 1.0
    text = float((texts["fp32"] * texts["int8"]).sum(axis=1).min())
    say(
        f"  int8, {len(pictures)} pictures: cosine to fp32 {cosines.mean():.4f} on average (at "
        f"least {MIN_MEAN_COSINE}), {cosines.min():.4f} at worst (at least {MIN_IMAGE_COSINE}); "
        f"texts {text:.4f} at worst (at least {MIN_IMAGE_COSINE}); the same best text in "
        f"{same:.0%} of {decided.sum()} decided pictures (at least {MIN_AGREEMENT:.0%})"
    )
    close = cosines.mean() >= MIN_MEAN_COSINE and min(cosines.min(), text) >= MIN_IMAGE_COSINE
    if not (close and same >= MIN_AGREEMENT):
        raise BundleError("int8 strays too far from fp32; nothing published.", "Use --no-int8.")


def _pixels(pictures: Sequence[Image.Image], manifest: Manifest) -> Vectors:
    return np.concatenate([preprocess(picture, manifest.preprocessing) for picture in pictures])


def _softmax(logits: Vectors) -> Vectors:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def samples(folder: Path | None) -> list[Image.Image]:
    """The pictures in `folder`, else the golden image and its variants."""
    if folder is None:
        return list(variants())
    pictures = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}:
            with Image.open(path) as opened:
                pictures.append(opened.convert("RGB"))
    if not pictures:
        raise BundleError(f"{folder} holds no JPEG, PNG or WebP.")
    return pictures


def variants() -> Iterator[Image.Image]:
    """Eight pictures made of the golden one: turned, cropped, and with its colours exchanged."""
    golden = golden_image()
    yield golden
    yield golden.rotate(90, expand=True)
    yield golden.crop((90, 40, 230, 180))
    for order in ((1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2)):
        bands = golden.split()
        yield Image.merge("RGB", [bands[i] for i in order])
    yield golden.point(lambda value: 255 - value)
