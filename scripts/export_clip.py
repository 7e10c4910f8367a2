#!/usr/bin/env python3
"""Makes a Feeder bundle of a PyTorch CLIP or SigLIP, and publishes it only if it computes the same.

The image and text towers go through optimum's ONNX exporter, each into a graph of its own; int8
copies are made of their matrix multiplications; both are compared with PyTorch; the folder then
gets its manifest, self-test and digests, and is renamed into place. Whatever fails, nothing is
left behind.
"""

import argparse
import contextlib
import json
import logging
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# `python scripts/export_clip.py` puts only scripts/ on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import export_parity

from feeder import hub
from feeder.bundle import Bundle
from feeder.classifier import Classifier
from feeder.errors import BundleError, FeederError
from feeder.published import describe, graph_name

OPSET = 17

FILES = ("config.json", "preprocessor_config.json", "tokenizer.json")
NOTES = ("tokenizer_config.json", "special_tokens_map.json", "README.md", "LICENSE")

EXAMPLES = """\
examples:
  export_clip.py --model openai/clip-vit-base-patch32 --output models/clip-vit-b32
  export_clip.py --model ./my-finetuned-clip --output models/mine --samples ./garden-photos
  export_clip.py --model google/siglip-base-patch16-224 --output models/siglip --no-int8
  export_clip.py --model openai/clip-vit-base-patch16 --output models/b16 --vocabulary europe

needs: pip install "feeder[export]"  (torch, transformers, optimum-onnx)
Without a network, give --model the folder of a downloaded model.
"""


@dataclass(frozen=True)
class Tower:
    """One half of the model, ready for the exporter: the module and optimum's description."""

    kind: str
    module: Any
    onnx_config: Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Exits 0 with the bundle in place, or 1 with the reason and nothing in place."""
    options = _arguments(arguments)
    try:
        bundle = export(options)
        if options.vocabulary:
            _embed_vocabulary(bundle, options.vocabulary, options.cache)
    except FeederError as error:
        print(f"error: {error}", error.hint, sep="\n  ", file=sys.stderr)
        return 1
    _say(f"{options.output}: ready ({bundle.digest[:12]})")
    return 0


def export(options: argparse.Namespace) -> Bundle:
    """The bundle made of `options.model`. Raises BundleError, leaving nothing behind."""
    # As absolute as `publish` needs it; a bundle in the way is found before the long work.
    output: Path = options.output.absolute()
    if output.exists() and not options.force:
        raise BundleError(f"{output} is there already.", "Use --force to replace it.")
    with _quiet_libraries(), _scratch(output) as folder:
        _say(f"Loading {options.model}")
        model = _load(options.model, options.revision)
        _copy_settings(options.model, options.revision, model, folder)
        for tower in _towers(model):
            _say(f"Exporting the {tower.kind} encoder")
            _export_tower(tower, folder)
            if options.int8:
                _say(f"Quantising the {tower.kind} encoder")
                _quantise(folder, tower.kind)
        for graph in (folder / "onnx").glob("*.onnx"):
            _move_weights_out(graph)
        manifest = describe(
            folder,
            name=output.name,
            source=_public_name(options.model),
            revision=getattr(model.config, "_commit_hash", None) or options.revision or "",
        )
        bundle = Bundle(folder, manifest, digest="")
        export_parity.against_torch(model, bundle, _say)
        if options.int8:
            export_parity.int8_against_fp32(bundle, export_parity.samples(options.samples), _say)
        hub.certify(folder, manifest)
        return hub.publish(folder, output, replace=options.force)


# --- PyTorch to ONNX ---------------------------------------------------------------------------


def _load(model: str, revision: str | None) -> Any:
    try:
        import optimum.exporters.onnx  # noqa: F401  # said here, not after minutes of loading
        import torch
        from transformers import AutoConfig, CLIPModel, SiglipModel
    except ImportError as error:
        raise BundleError(f"{error}.", 'Run `pip install "feeder[export]"`.') from error
    classes = {"clip": CLIPModel, "siglip": SiglipModel}
    try:
        kind = AutoConfig.from_pretrained(model, revision=revision).model_type
        if kind not in classes:
            raise BundleError(f"{model} is a {kind!r} model; only CLIP and SigLIP are exported.")
        loaded = classes[kind].from_pretrained(model, revision=revision, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{model} cannot be loaded: {str(error).splitlines()[0]}",
            "Give a hub id, or the folder of a model saved with save_pretrained.",
        ) from error
    return loaded.eval()


def _towers(model: Any) -> list[Tower]:
    """Both halves, sharing `model`'s own weights."""
    import transformers
    from optimum.exporters.onnx import model_configs

    if model.config.model_type == "clip":
        vision = _half(
            transformers.CLIPVisionModelWithProjection, model, "vision_model", "visual_projection"
        )
        text = _half(
            transformers.CLIPTextModelWithProjection, model, "text_model", "text_projection"
        )
        outputs = ("image_embeds", "text_embeds")
    else:
        vision = _half(transformers.SiglipVisionModel, model, "vision_model")
        text = _half(transformers.SiglipTextModel, model, "text_model")
        outputs = ("pooler_output", "pooler_output")
    # No attention mask: CLIP's text tower looks back only, from an end that padding follows;
    # SigLIP's was trained without one.
    pixels, ids = {"pixel_values": {0: "n"}}, {"input_ids": {0: "n", 1: "t"}}
    how = (model_configs.CLIPVisionModelOnnxConfig, model_configs.CLIPTextWithProjectionOnnxConfig)
    return [
        Tower("vision", vision, _onnx_config(how[0], vision.config, pixels, outputs[0])),
        Tower("text", text, _onnx_config(how[1], text.config, ids, outputs[1])),
    ]


def _half(cls: Any, model: Any, *parts: str) -> Any:
    """A model of class `cls` made of `model`'s own parts, of which the first is the tower."""
    config = getattr(model, parts[0]).config
    config.projection_dim = getattr(model.config, "projection_dim", 0)
    half = cls(config)
    for part in parts:
        setattr(half, part, getattr(model, part))
    return half.eval()


def _onnx_config(base: Any, config: Any, given: dict[str, Any], output: str) -> Any:
    """optimum's own description, narrowed to one output and to the axes that vary."""
    narrowed = {
        "inputs": property(lambda self: given),
        "outputs": property(lambda self: {output: {0: "n"}}),
    }
    return type("Narrowed", (base,), narrowed)(config, task="feature-extraction")


def _export_tower(tower: Tower, folder: Path) -> None:
    from optimum.exporters.onnx import export as onnx_export

    path = folder / graph_name(tower.kind, "fp32")
    onnx_export(tower.module, tower.onnx_config, path, opset=OPSET)


def _quantise(folder: Path, kind: str) -> None:
    """int8 weights for matrix multiplications, a scale per channel; convolutions stay fp32.

    Seven of the eight bits: older processors add two products into 16 bits, which eight overflow.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        folder / graph_name(kind, "fp32"),
        folder / graph_name(kind, "int8"),
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )


def _move_weights_out(path: Path) -> None:
    """Weights to a file beside the graph: ONNX Runtime maps that one instead of copying it."""
    import onnx

    graph = onnx.load(path)
    onnx.save_model(graph, path, save_as_external_data=True, location=f"{path.name}_data")


# --- settings ----------------------------------------------------------------------------------


def _copy_settings(model: str, revision: str | None, loaded: Any, folder: Path) -> None:
    """The model's own files, with the logit scale of its weights written into config.json."""
    from transformers.utils import cached_file

    (folder / "onnx").mkdir(parents=True)
    for name in (*FILES, *NOTES):
        found = cached_file(
            model, name, revision=revision, _raise_exceptions_for_missing_entries=False
        )
        if found is not None:
            shutil.copyfile(found, folder / name)
    if not (folder / "tokenizer.json").is_file():
        _save_fast_tokenizer(model, revision, folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise BundleError(
            f"{model} lacks {', '.join(missing)}.",
            "Save its processor beside it: `AutoProcessor.from_pretrained(BASE)"
            ".save_pretrained(FOLDER)`.",
        )
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["feeder_logit_scale"] = loaded.logit_scale.exp().item()
    if hasattr(loaded, "logit_bias"):
        config["feeder_logit_bias"] = loaded.logit_bias.item()
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _save_fast_tokenizer(model: str, revision: str | None, folder: Path) -> None:
    """Older checkpoints bring vocab.json and merges.txt alone."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, use_fast=True)
    except (OSError, ValueError, ImportError) as error:
        raise BundleError(f"{model} has no tokenizer that loads: {error}") from error
    if not tokenizer.is_fast:
        raise BundleError(f"{model} has no tokenizer.json, and none can be made of its tokenizer.")
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))


def _public_name(model: str) -> str:
    """A hub id as it is; of a folder the last part, for the rest is this computer's business."""
    return Path(model).resolve().name if Path(model).is_dir() else model


# --- running -----------------------------------------------------------------------------------


def _embed_vocabulary(bundle: Bundle, name: str, cache: Path) -> None:
    _say(f"Embedding the vocabulary {name}")
    classifier = Classifier.load(bundle.folder, name, cache=cache)
    _say(f"  {len(classifier.labels)} labels, kept in {cache}")


@contextlib.contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """A hidden folder beside `output`, gone afterwards whatever happens."""
    folder = output.parent / f".{output.name}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """The exporter's warnings speak of its own code, and would drown what was measured."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Make a Feeder model bundle of a PyTorch CLIP or SigLIP.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, metavar="ID_OR_FOLDER", help="hub id, or a saved model")
    add("--output", required=True, type=Path, metavar="models/NAME", help="the bundle to make")
    add("--revision", help="branch, tag or commit on the hub")
    add("--int8", action=argparse.BooleanOptionalAction, default=True, help="int8 graphs too")
    add("--samples", type=Path, metavar="DIR", help="pictures to compare int8 with fp32 on")
    add("--vocabulary", metavar="NAME", help="embed this vocabulary's prompts ahead of time")
    add("--cache", type=Path, default=Path("data/cache"), help="where those go (%(default)s)")
    add("--force", action="store_true", help="replace a bundle that is there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
