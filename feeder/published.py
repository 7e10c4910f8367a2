"""Reads a published model folder, in transformers.js's layout, into Feeder's own manifest.

    config.json                            CLIP or SigLIP, and its logit scale where recorded
    preprocessor_config.json               how pictures are prepared
    tokenizer.json                         how prompts become token ids
    onnx/vision_model[_quantized].onnx     fp32 [int8]
    onnx/text_model[_quantized].onnx

What Feeder cannot reproduce exactly is refused, never approximated.
"""

import json
import re
from pathlib import Path
from typing import Any

from feeder import encoder
from feeder.bundle import Graph, Manifest, Precision, Preprocessing, TextEncoding
from feeder.errors import BundleError

TOWERS = ("vision", "text")
SUFFIXES: dict[Precision, str] = {"int8": "_quantized", "fp32": ""}
SETTINGS = ("config.json", "preprocessor_config.json", "tokenizer.json")

KNOWN_SCALES = {
    f"{owner}/clip-vit-{size}": 100.0  # OpenAI trained with the scale clipped at 100, and hit it
    for owner in ("openai", "Xenova")
    for size in ("base-patch32", "base-patch16", "large-patch14", "large-patch14-336")
}

_DEFAULTS: dict[str, dict[str, Any]] = {
    "clip": {
        "size": {"shortest_edge": 224},
        "crop_size": 224,
        "do_center_crop": True,
        "image_mean": (0.48145466, 0.4578275, 0.40821073),
        "image_std": (0.26862954, 0.26130258, 0.27577711),
        "context": 77,
        "pad_id": 49407,
        "outputs": {"vision": ("image_embeds",), "text": ("text_embeds",)},
    },
    "siglip": {
        "size": 224,
        "do_center_crop": False,
        "image_mean": (0.5, 0.5, 0.5),
        "image_std": (0.5, 0.5, 0.5),
        "context": 64,
        "pad_id": 1,
        "outputs": {
            "vision": ("image_embeds", "pooler_output"),
            "text": ("text_embeds", "pooler_output"),
        },
    },
}
_RESAMPLE: tuple[Any, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


def graph_name(kind: str, precision: Precision) -> str:
    """Where the layout keeps the graph of a tower ("vision" or "text")."""
    return f"onnx/{kind}_model{SUFFIXES[precision]}.onnx"


def describe(
    folder: Path,
    *,
    name: str | None = None,
    source: str = "",
    revision: str = "",
    license: str | None = None,
    logit_scale: float | None = None,
    logit_bias: float | None = None,
) -> Manifest:
    """The manifest of a transformers.js folder, without digests and self-test.

    Logit scale: the argument, else `feeder_logit_scale` in config.json, else a table of
    checkpoints known by `source`. (`logit_scale_init_value` is where training began, no more.)
    License: the argument, else the model card's, else "unstated".
    Raises BundleError for whatever Feeder cannot reproduce exactly.
    """
    config = _json(folder / "config.json")
    architecture = _architecture(config)
    preprocessing = _preprocessing(_json(folder / "preprocessor_config.json"), architecture)
    image, width = _graph(folder, "vision", architecture, config)
    text, text_width = _graph(folder, "text", architecture, config)
    if width != text_width:
        raise BundleError(
            f"The graphs in {folder} do not belong together: pictures become {width} numbers, "
            f"texts {text_width}."
        )
    bias = config.get("feeder_logit_bias", 0.0) if logit_bias is None else logit_bias
    return Manifest(
        name=name or folder.name,
        architecture=architecture,
        source=source or folder.name,
        revision=revision,
        license=license or _card_license(folder),
        embedding_width=width,
        logit_scale=_logit_scale(logit_scale, config, source),
        logit_bias=float(bias),
        preprocessing=preprocessing,
        image=image,
        text=text,
        text_encoding=_text_encoding(folder, config, architecture),
    )


def preflight(folder: Path, source: str, logit_scale: float | None) -> None:
    """Raises BundleError for what `describe` would refuse in the settings, the graphs unread."""
    config = _json(folder / "config.json")
    architecture = _architecture(config)
    _preprocessing(_json(folder / "preprocessor_config.json"), architecture)
    _logit_scale(logit_scale, config, source)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(f"{path} is missing.") from error
    except ValueError as error:
        raise BundleError(f"{path} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BundleError(f"{path} holds no JSON object.")
    return value


def _architecture(config: dict[str, Any]) -> str:
    architecture = str(config.get("model_type"))
    if architecture not in _DEFAULTS:
        raise BundleError(
            f"This model's type is {architecture!r}; Feeder reads CLIP and SigLIP.",
            "SigLIP 2 works in its fixed-resolution form, whose type is 'siglip'.",
        )
    return architecture


def _logit_scale(explicit: float | None, config: dict[str, Any], source: str) -> float:
    recorded = config.get("feeder_logit_scale", KNOWN_SCALES.get(source))
    scale = recorded if explicit is None else explicit
    if scale is None:
        raise BundleError(
            f"{source or 'This folder'} does not say its logit scale, which lies in the PyTorch "
            "weights alone.",
            "Give --logit-scale: 100 for OpenAI's CLIP and most trained like it; "
            "`exp(model.logit_scale)` in general.",
        )
    if not 0 < float(scale) < float("inf"):
        raise BundleError(f"A logit scale must be above zero, not {scale}.")
    return float(scale)


def _preprocessing(stated: dict[str, Any], architecture: str) -> Preprocessing:
    """Feeder's words for a preprocessor_config.json; BundleError where they would not be exact."""
    how = {**_DEFAULTS[architecture], **{k: v for k, v in stated.items() if v is not None}}

    def refuse(why: str) -> BundleError:
        return BundleError(f"The pictures of this model are prepared otherwise: {why}.")

    for flag, usual in (("do_resize", True), ("do_rescale", True), ("do_pad", False)):
        if how.get(flag, usual) is not usual:
            raise refuse(f"{flag} is {how[flag]}")
    if abs(how.get("rescale_factor", 1 / 255) - 1 / 255) > 1e-9:
        raise refuse(f"rescale_factor is {how['rescale_factor']}, not 1/255")
    if how.get("resample", 3) not in range(len(_RESAMPLE)):
        raise refuse(f"resample is {how['resample']}")
    if not how.get("do_normalize", True):
        how |= {"image_mean": (0.0, 0.0, 0.0), "image_std": (1.0, 1.0, 1.0)}
    shared: dict[str, Any] = {
        "resample": _RESAMPLE[how.get("resample", 3)],
        "mean": tuple(how["image_mean"]),
        "std": tuple(how["image_std"]),
    }
    size, crop = how["size"], how.get("do_center_crop")
    if architecture == "clip" and isinstance(size, int):
        size = {"shortest_edge": size}  # what a bare number means to CLIP's processor
    short = size.get("shortest_edge") if isinstance(size, dict) else None
    if short is None:
        edge = _edge(size)
        if edge is None or (crop and _edge(how["crop_size"]) != edge):
            raise refuse(f"size is {size}, with do_center_crop {crop}")
        return Preprocessing(size=edge, resize=edge, views=("squash",), **shared)
    cut = _edge(how["crop_size"]) if crop else None
    if cut is None or cut > short:
        raise refuse(f"size is {size} and crop_size {how.get('crop_size') if crop else 'unused'}")
    return Preprocessing(size=cut, resize=short, **shared)


def _edge(size: Any) -> int | None:
    """The edge of a square given as a number or as height and width; None for anything else."""
    if isinstance(size, int):
        return size
    edges = {size.get("height"), size.get("width")} if isinstance(size, dict) else {None}
    edge = edges.pop()
    return edge if not edges and isinstance(edge, int) else None


def _graph(folder: Path, kind: str, architecture: str, config: dict[str, Any]) -> tuple[Graph, int]:
    """The graph of one tower, and the width of its embedding."""
    files = {each: graph_name(kind, each) for each in SUFFIXES}
    files = {each: name for each, name in files.items() if (folder / name).is_file()}
    if not files:
        raise BundleError(f"{folder} has no {graph_name(kind, 'fp32')}.")
    usable: tuple[str, ...] = _DEFAULTS[architecture]["outputs"][kind]
    for file in files.values():
        there = encoder.output_widths(folder / file)
        usable = tuple(name for name in usable if name in there)
        if not usable:
            raise BundleError(
                f"{folder / file} gives no embedding shared by pictures and texts, only "
                f"{', '.join(there)}.",
                "Export the model with its projection: `scripts/export_clip.py`.",
            )
    width = there[usable[0]]
    if width is None:
        tower = config.get(f"{kind}_config") or {}
        width = config.get("projection_dim") or tower.get("hidden_size")
    if not isinstance(width, int):
        raise BundleError(f"{folder}: neither the graph nor config.json states the width.")
    return Graph(files=files, output=usable[0]), width


def _text_encoding(folder: Path, config: dict[str, Any], architecture: str) -> TextEncoding:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises bare Exception
        raise BundleError(f"{folder / 'tokenizer.json'} cannot be read: {error}.") from error
    defaults, text = _DEFAULTS[architecture], config.get("text_config") or {}
    notes: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        notes |= _json(folder / name) if (folder / name).is_file() else {}
    # A tokenizer that tells the cases apart met lower case alone in training.
    folded = tokenizer.encode("A Blue JAY").ids == tokenizer.encode("a blue jay").ids
    return TextEncoding(
        context_length=int(text.get("max_position_embeddings") or defaults["context"]),
        pad_id=_pad_id(tokenizer, notes, text, int(defaults["pad_id"])),
        pad_to_context=architecture == "siglip",
        lowercase=not folded,
    )


def _pad_id(tokenizer: Any, notes: dict[str, Any], text: dict[str, Any], default: int) -> int:
    """What the tokenizer pads with; the text tower's `pad_token_id` is often only a default."""
    token = notes.get("pad_token")
    content = token.get("content") if isinstance(token, dict) else token
    named = tokenizer.token_to_id(content) if content else None
    padding = (tokenizer.padding or {}).get("pad_id")
    for candidate in (named, padding, text.get("pad_token_id"), default):
        if candidate is not None:
            return int(candidate)
    raise AssertionError("the default is a number")


def _card_license(folder: Path) -> str:
    """The license in the model card's front matter, or "unstated"."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    front = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    lines = re.findall(r"^(license(?:_name)?):\s*(\S.*?)\s*$", front[1] if front else "", re.M)
    stated: dict[str, str] = {key: value.strip("'\"") for key, value in lines}
    license = stated.get("license", "unstated")
    return stated.get("license_name", license) if license == "other" else license
