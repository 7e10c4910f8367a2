"""Tuned towers to one small ONNX graph: pixels [n, 3, 224, 224] -> image embeddings [n, d]."""

import math
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from starter_tune import Tower
from torch import Tensor, nn

OPSET = 17
LARGE = 1024
"""Weights of fewer numbers stay as they are: they cost nothing and carry the most."""


class Towers(nn.Module):
    """The towers' embeddings side by side, each times the root of its share: a unit vector."""

    def __init__(self, towers: Sequence[Tower], shares: Sequence[float]) -> None:
        super().__init__()
        self.towers = nn.ModuleList(towers)
        self.roots = [math.sqrt(share) for share in shares]

    def forward(self, pixels: Tensor) -> Tensor:
        pairs = zip(self.towers, self.roots, strict=True)
        return torch.cat([root * tower(pixels) for tower, root in pairs], dim=-1)


def write_graph(towers: Towers, path: Path) -> None:
    """The towers as ONNX with 8-bit weights: products of matrices in integers, the rest in floats.

    Convolutions keep a scale for each channel. Their weights become floats when the graph loads,
    which takes a quarter of the space on disk and no time afterwards.
    """
    pixels = torch.zeros(1, 3, 224, 224)
    with tempfile.TemporaryDirectory() as folder:
        whole, matrices = Path(folder) / "fp32.onnx", Path(folder) / "matrices.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecation and shape notes
            torch.onnx.export(
                towers.eval(),
                (pixels,),
                whole,
                opset_version=OPSET,
                input_names=["pixel_values"],
                output_names=["image_embeds"],
                dynamic_axes={"pixel_values": {0: "n"}, "image_embeds": {0: "n"}},
                dynamo=False,  # its graphs are larger and no faster
            )
        quantize_dynamic(
            whole,
            matrices,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        onnx.save(_packed(onnx.load(matrices)), path)


def _packed(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with its convolutions' weights as 8-bit integers times a scale for each channel."""
    graph = model.graph
    weights = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    unpacking = []
    for stored in list(graph.initializer):
        values = numpy_helper.to_array(stored)
        if stored.name not in weights or values.size < LARGE:
            continue
        most = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scale = np.maximum(most / 127, np.finfo(np.float32).tiny).astype(np.float32)
        name, whole = stored.name, np.round(values / scale).astype(np.int8)
        graph.initializer.remove(stored)
        graph.initializer.append(numpy_helper.from_array(whole, f"{name}_int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        # Cast and Mul of constants, not DequantizeLinear: ONNX Runtime computes these at load.
        unpacking += [
            helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name]),
        ]
    for place, node in enumerate(unpacking):
        graph.node.insert(place, node)
    onnx.checker.check_model(model)
    return model
