"""The two small networks a starter looks with, as torch modules that load published weights.

TinyViT-5M (Wu et al. 2022), distilled on ImageNet-22k, knows what is in a picture; MobileNetV2
(Sandler et al. 2018), trained on iNaturalist's birds, knows birds. Their batch normalisation is
folded into the convolutions, as in the files they are loaded from.
"""

from pathlib import Path

import numpy as np
import onnx
import tflite
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What both towers are given: RGB in [0, 1] less MEAN, over STD."""


class Conv(nn.Conv2d):
    """A convolution that keeps the size, or halves it with `stride` 2."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ):
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, groups=groups)


class _Inverted(nn.Module):
    """TinyViT's first blocks: widen, look around, narrow, add."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Conv(width, 4 * width)
        self.conv2 = Conv(4 * width, 4 * width, 3, groups=4 * width)
        self.conv3 = Conv(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.gelu(self.conv2(functional.gelu(self.conv1(x))))
        return functional.gelu(x + self.conv3(y))


class _Downsample(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = Conv(inputs, outputs)
        self.conv2 = Conv(outputs, outputs, 3, 2, groups=outputs)
        self.conv3 = Conv(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(functional.gelu(self.conv2(functional.gelu(self.conv1(x)))))


class _Attention(nn.Module):
    """Self-attention within a window, with a learnt bias for each distance."""

    index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window**2))
        side = torch.arange(window)
        place = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
        apart = (place[:, None] - place[None]).abs()
        self.register_buffer("index", apart[..., 0] * window + apart[..., 1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        shape = (n, tokens, self.heads, 3, width // self.heads)
        q, k, v = self.qkv(self.norm(x)).view(shape).permute(3, 0, 2, 1, 4).unbind(0)
        bias = self.attention_biases[:, self.index].to(q.dtype)[None]
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(y.transpose(1, 2).reshape(n, tokens, width))


class _Perceptron(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(self.norm(x))))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = _Attention(width, heads, window)
        self.local_conv = Conv(width, width, 3, groups=width)
        self.mlp = _Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        n, width, height, across = x.shape
        side = self.window
        down, right = height // side, across // side
        windows = x.view(n, width, down, side, right, side).permute(0, 2, 4, 3, 5, 1)
        seen = self.attn(windows.reshape(-1, side * side, width))
        back = seen.view(n, down, right, side, side, width).permute(0, 5, 1, 3, 2, 4)
        x = self.local_conv(x + back.reshape(x.shape))
        tokens = x.flatten(2).transpose(1, 2)
        return (tokens + self.mlp(tokens)).transpose(1, 2).view(x.shape)


class TinyViT(nn.Module):
    """TinyViT-5M for 224 x 224 pixels: [n, 3, 224, 224] -> [n, 320]."""

    width = 320

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Sequential(Conv(3, 32, 3, 2), nn.GELU(), Conv(32, 64, 3, 2))
        stages = [nn.Sequential(_Inverted(64), _Inverted(64))]
        for before, width, depth, heads, window in (
            (64, 128, 2, 4, 7),
            (128, 160, 6, 5, 14),
            (160, 320, 2, 10, 7),
        ):
            blocks = [_Block(width, heads, window) for _ in range(depth)]
            stages.append(nn.Sequential(_Downsample(before, width), *blocks))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(320)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        for stage in self.stages:
            x = stage(x)
        return self.norm(x.mean((2, 3)))


def tiny_vit(path: Path) -> TinyViT:
    """The weights of an ONNX export of timm's `tiny_vit_5m_224`.

    The exporter renamed what it folded or transposed, so convolutions and matrices are taken in
    the order of the graph, the rest by name.
    """
    graph = onnx.load(path).graph
    stored = {one.name: torch.tensor(numpy_helper.to_array(one)) for one in graph.initializer}
    convolutions = [node.input[1:3] for node in graph.node if node.op_type == "Conv"]
    matrices = [n.input[1] for n in graph.node if n.op_type == "MatMul" and n.input[1] in stored]
    model = TinyViT()
    with torch.no_grad():
        layers = [layer for layer in model.modules() if isinstance(layer, Conv)]
        for layer, (weight, bias) in zip(layers, convolutions, strict=True):
            layer.weight.copy_(stored[weight])
            layer.bias.copy_(stored[bias])  # type: ignore[union-attr]  # every Conv has one
        linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
        for layer, weight in zip(linear, matrices, strict=True):
            layer.weight.copy_(stored[weight].T)
        for name, parameter in model.named_parameters():
            if (theirs := _timm_name(name)) in stored:
                parameter.copy_(stored[theirs])
    return model


def _timm_name(name: str) -> str:
    """timm counts a stage's blocks from 0 and keeps its downsampling apart."""
    parts = name.split(".")
    if parts[0] == "norm":
        return f"head.{name}"
    if parts[0] == "stages" and parts[2] != "0":
        return ".".join(["stages", parts[1], "blocks", str(int(parts[2]) - 1), *parts[3:]])
    return ""


class _Bottleneck(nn.Module):
    """MobileNetV2's block; TensorFlow pads what it halves at the right and bottom only."""

    def __init__(self, inputs: int, outputs: int, factor: int, stride: int) -> None:
        super().__init__()
        inner = inputs * factor
        self.adds, self.stride = stride == 1 and inputs == outputs, stride
        self.expand = nn.Conv2d(inputs, inner, 1) if factor > 1 else None
        padding = 1 if stride == 1 else 0
        self.depth = nn.Conv2d(inner, inner, 3, stride, padding, groups=inner)
        self.project = nn.Conv2d(inner, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else functional.relu6(self.expand(x))
        if self.stride == 2:
            y = functional.pad(y, (0, 1, 0, 1))
        y = self.project(functional.relu6(self.depth(y)))
        return x + y if self.adds else y


class MobileNet(nn.Module):
    """MobileNetV2 1.0 for 224 x 224 pixels: [n, 3, 224, 224] -> [n, 1280]."""

    width = 1280
    gain: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        # It was trained on RGB in [-1, 1].
        mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (MEAN, STD))
        self.register_buffer("gain", std / 0.5, persistent=False)
        self.register_buffer("shift", (mean - 0.5) / 0.5, persistent=False)
        self.stem = nn.Conv2d(3, 32, 3, 2)
        blocks, before = [], 32
        for factor, width, depth, stride in (
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ):
            for index in range(depth):
                blocks.append(_Bottleneck(before, width, factor, 1 if index else stride))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Conv2d(320, 1280, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x * self.gain + self.shift, (0, 1, 0, 1))
        x = self.blocks(functional.relu6(self.stem(x)))
        return functional.relu6(self.last(x)).mean((2, 3))


def mobilenet(path: Path) -> tuple[MobileNet, nn.Linear]:
    """The weights of a quantised TensorFlow Lite MobileNetV2, and its last layer of class scores.

    Every stored integer stands for scale * (integer - zero point), which is what is loaded.
    """
    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    kinds = {tflite.TensorType.UINT8: np.uint8, tflite.TensorType.INT32: np.int32}

    def stored(index: int) -> Tensor:
        tensor = graph.Tensors(index)
        raw = model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        whole = np.frombuffer(raw, kinds[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
        how = tensor.Quantization()
        real = (whole.astype(np.float64) - how.ZeroPointAsNumpy()) * how.ScaleAsNumpy()
        return torch.tensor(real.astype(np.float32))

    net, head = MobileNet(), nn.Linear(1280, 965)
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    layers = iter([*convolutions, head])
    operators = tflite.BuiltinOperator
    for place in range(graph.OperatorsLength()):
        operator = graph.Operators(place)
        # Operators from before 127 stand in the field that newer files call deprecated.
        code = model.OperatorCodes(operator.OpcodeIndex()).DeprecatedBuiltinCode()
        if code not in (operators.CONV_2D, operators.DEPTHWISE_CONV_2D, operators.FULLY_CONNECTED):
            continue
        weight, bias = (stored(index) for index in operator.InputsAsNumpy()[1:3])
        if code == operators.CONV_2D:
            weight = weight.permute(0, 3, 1, 2)  # out, height, width, in
        elif code == operators.DEPTHWISE_CONV_2D:
            weight = weight.permute(3, 0, 1, 2)  # 1, height, width, out
        layer = next(layers)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)  # type: ignore[union-attr]  # each of them has one
    return net, head
