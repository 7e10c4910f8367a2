"""A CLIP small enough to make in milliseconds, in the very files a published one has.

`make_tiny_clip` needs `onnx` and nothing heavier. Its weights are random but seeded: equal inputs
give equal vectors, different ones different vectors, and nothing in it knows a bird.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from feeder.bundle import (
    Bundle,
    Graph,
    Manifest,
    Preprocessing,
    SelfTest,
    TextEncoding,
    golden_image,
    seal,
)
from feeder.encoder import ImageEncoder, unit
from feeder.preprocess import preprocess

WIDTH = 16
SIZE = 32
CONTEXT = 256
START, END = 256, 257
SCALE = 100.0
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def make_tiny_clip(folder: Path, *, seed: int = 0) -> Path:
    """A complete, sealed bundle in `folder`, which is made if need be; returns `folder`.

    d = 16, input 32 x 32, every character a token, fp32 and int8 graphs, logit scale 100.
    """
    write_hub_files(folder, seed=seed)
    manifest = tiny_manifest(folder.name)
    bundle = seal(folder, manifest)
    views = ImageEncoder(bundle, "fp32").embed(preprocess(golden_image(), manifest.preprocessing))
    np.save(folder / "self_test.npy", unit(views.mean(axis=0, keepdims=True))[0])
    test = SelfTest(file="self_test.npy", min_cosine=0.9)
    seal(folder, manifest.model_copy(update={"self_test": test}))
    return folder


def move_weights_out(folder: Path) -> Path:
    """Gives each graph of a bundle its weights in a file beside it, as the exporter does."""
    for path in (folder / "onnx").glob("*.onnx"):
        graph = onnx.load(path)
        onnx.save_model(graph, path, save_as_external_data=True, location=f"{path.name}_data")
    seal(folder, Bundle.open_unsealed(folder).manifest)
    return folder


def tiny_manifest(name: str) -> Manifest:
    """What a manifest of `write_hub_files`' folder must say, less the self-test and digests."""
    return Manifest(
        name=name,
        architecture="clip",
        source="tiny",
        license="cc0-1.0",
        embedding_width=WIDTH,
        logit_scale=SCALE,
        preprocessing=Preprocessing(size=SIZE, resize=SIZE, mean=MEAN, std=STD),
        image=Graph(
            files={"fp32": "onnx/vision_model.onnx", "int8": "onnx/vision_model_quantized.onnx"},
            output="image_embeds",
        ),
        text=Graph(
            files={"fp32": "onnx/text_model.onnx", "int8": "onnx/text_model_quantized.onnx"},
            output="text_embeds",
        ),
        text_encoding=TextEncoding(context_length=CONTEXT, pad_id=END),
    )


def write_hub_files(folder: Path, *, seed: int = 0) -> Path:
    """The files a hub serves for such a model, without Feeder's manifest; returns `folder`."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", _config())
    _write_json(folder / "preprocessor_config.json", _preprocessor_config())
    _write_json(folder / "tokenizer.json", _tokenizer())
    card = "---\nlicense: cc0-1.0\ntags:\n- tiny\n---\n# Tiny\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    rng = np.random.default_rng(seed)
    patch = rng.normal(0, 0.3, (24, 3, 8, 8))
    project = rng.normal(0, 0.3, (24 * 16, WIDTH))
    token = rng.normal(0, 1.0, (END + 1, 32))
    place = rng.normal(0, 0.3, (CONTEXT, 32))
    read = rng.normal(0, 1.0, (32, WIDTH))
    light = rng.normal(0, 0.02, (1, 24, 4, 4))
    for suffix, quantized in (("", False), ("_quantized", True)):
        vision = _vision_model(patch, project, light, quantized)
        onnx.save_model(vision, str(folder / f"onnx/vision_model{suffix}.onnx"))
        text = _text_model(token, place, read, quantized)
        onnx.save_model(text, str(folder / f"onnx/text_model{suffix}.onnx"))
    return folder


def _vision_model(patch: Any, project: Any, light: Any, quantized: bool) -> onnx.ModelProto:
    """`light` is read at each run from where it lies; ONNX Runtime repacks the other weights."""
    nodes, weights = _weight("project", project, quantized)
    weights.append(_constant("patch", patch.astype(np.float32)))
    weights.append(_constant("light", light.astype(np.float32)))
    nodes += [
        helper.make_node("Conv", ["pixel_values", "patch"], ["c"], strides=[8, 8]),
        helper.make_node("Add", ["c", "light"], ["lit"]),
        helper.make_node("Tanh", ["lit"], ["a"]),
        helper.make_node("Flatten", ["a"], ["f"], axis=1),
        helper.make_node("MatMul", ["f", "project"], ["image_embeds"]),
    ]
    pixels = _value("pixel_values", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    embeds = _value("image_embeds", TensorProto.FLOAT, ["n", WIDTH])
    return _model("vision", nodes, [pixels], [embeds], weights)


def _text_model(token: Any, place: Any, read: Any, quantized: bool) -> onnx.ModelProto:
    """Masked sum over tanh(token + place): order matters, padding does not."""
    nodes, weights = _weight("read", read, quantized)
    weights += [
        _constant("token", token.astype(np.float32)),
        _constant("place", place.astype(np.float32)),
        _constant("zero", np.array(0, np.int64)),
        _constant("one", np.array(1, np.int64)),
        _constant("axis_1", np.array([1], np.int64)),
        _constant("axis_2", np.array([2], np.int64)),
    ]
    nodes += [
        helper.make_node("Shape", ["input_ids"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["length"]),
        helper.make_node("Range", ["zero", "length", "one"], ["positions"]),
        helper.make_node("Gather", ["place", "positions"], ["places"]),
        helper.make_node("Gather", ["token", "input_ids"], ["tokens"]),
        helper.make_node("Add", ["tokens", "places"], ["placed"]),
        helper.make_node("Tanh", ["placed"], ["active"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "axis_2"], ["mask_3"]),
        helper.make_node("Mul", ["active", "mask_3"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axis_1"], ["summed"], keepdims=0),
        helper.make_node("MatMul", ["summed", "read"], ["text_embeds"]),
    ]
    ids = _value("input_ids", TensorProto.INT64, ["n", "t"])
    mask = _value("attention_mask", TensorProto.INT64, ["n", "t"])
    embeds = _value("text_embeds", TensorProto.FLOAT, ["n", WIDTH])
    return _model("text", nodes, [ids, mask], [embeds], weights)


def _weight(name: str, values: Any, quantized: bool) -> tuple[list[Any], list[Any]]:
    """A float weight, or an int8 one with the node that scales it back."""
    if not quantized:
        return [], [_constant(name, values.astype(np.float32))]
    scale = np.abs(values).max() / 127
    stored = np.round(values / scale).astype(np.int8)
    node = helper.make_node("DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [name])
    scale_value = _constant(f"{name}_scale", np.array(scale, np.float32))
    return [node], [_constant(f"{name}_int8", stored), scale_value]


def _constant(name: str, values: Any) -> Any:
    return numpy_helper.from_array(values, name)


def _value(name: str, kind: int, shape: list[str | int]) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(name: str, nodes: Any, inputs: Any, outputs: Any, weights: Any) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    # An old intermediate representation, so that every supported onnxruntime reads it.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _config() -> dict[str, Any]:
    return {
        "model_type": "clip",
        "projection_dim": WIDTH,
        "logit_scale_init_value": 2.6592,
        "feeder_logit_scale": SCALE,
        "text_config": {
            "max_position_embeddings": CONTEXT,
            "bos_token_id": START,
            "eos_token_id": END,
            "pad_token_id": END,
        },
        "vision_config": {"image_size": SIZE, "patch_size": 8},
    }


def _preprocessor_config() -> dict[str, Any]:
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": SIZE},
        "do_center_crop": True,
        "crop_size": {"height": SIZE, "width": SIZE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "resample": 3,
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }


def _tokenizer() -> dict[str, Any]:
    """Every byte of the lower-cased text is one token, between a start and an end."""
    names = _byte_names()
    vocabulary = {name: i for i, name in enumerate(names)}
    specials = {"<|startoftext|>": START, "<|endoftext|>": END}
    added = [
        {
            "id": i,
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for name, i in specials.items()
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<|startoftext|>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
            ],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {
                name: {"id": name, "ids": [i], "tokens": [name]} for name, i in specials.items()
            },
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }


def _byte_names() -> list[str]:
    """The printable stand-ins byte-level tokenizers give the 256 bytes."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]
