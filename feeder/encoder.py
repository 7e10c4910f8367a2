"""ONNX Runtime: pictures and prompts to unit vectors. Nothing else imports onnxruntime."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from feeder.bundle import Bundle, Graph, Precision, golden_image
from feeder.domain import Vectors
from feeder.errors import BundleError
from feeder.memory import release_memory
from feeder.preprocess import preprocess
from feeder.weights import private_copy

TEXT_BATCH = 32


def unit(vectors: Vectors) -> Vectors:
    """Each row of [n, d] divided by its own L2 norm; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)


class ImageEncoder:
    """The bundle's image tower.

    `threads` is the number of ONNX Runtime's workers, 0 for one a physical core. `cache` is the
    folder for copies of weights that ONNX Runtime maps; without it they are mapped where they are,
    and must not be written to meanwhile.
    Raises BundleError where the graph does not load or fails its self-test.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision | Literal["auto"] = "auto",
        threads: int = 0,
        cache: Path | None = None,
    ) -> None:
        self._bundle = bundle
        self._session = _graph_session(bundle, bundle.manifest.image, precision, threads, cache)
        self._input = self._session.get_inputs()[0].name
        self._output = bundle.manifest.image.output
        release_memory()
        self._self_test()

    def embed(self, pixels: Vectors) -> Vectors:
        """Model input [n, 3, size, size] to unit vectors [n, d], both float32."""
        (vectors,) = self._session.run([self._output], {self._input: pixels})
        return unit(np.asarray(vectors, np.float32))

    def embed_image(self, image: Image.Image) -> Vectors:
        """The unit vector, float32 [d], of one picture: the mean over the bundle's views of it."""
        views = self.embed(preprocess(image, self._bundle.manifest.preprocessing))
        return np.asarray(unit(views.mean(axis=0, keepdims=True))[0], np.float32)

    def _self_test(self) -> None:
        test, expected = self._bundle.manifest.self_test, self._bundle.self_test_embedding
        if test is None or expected is None:
            return
        cosine = float(self.embed_image(golden_image()) @ expected)
        # Written so that NaN fails too.
        if not cosine >= test.min_cosine:
            raise BundleError(
                f"The model {self._bundle.manifest.name} fails its self-test on this computer: "
                f"cosine {cosine:.4f}, at least {test.min_cosine} wanted.",
                'Try `precision = "fp32"` under [model], or another onnxruntime.',
            )


class TextEncoder:
    """The bundle's text tower with its tokenizer. Raises BundleError where there is none.

    The arguments are `ImageEncoder`'s.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision | Literal["auto"] = "auto",
        threads: int = 0,
        cache: Path | None = None,
    ) -> None:
        # Imported here: a daemon whose prompts are all cached never loads the library.
        from tokenizers import Tokenizer

        graph, encoding = bundle.manifest.text, bundle.manifest.text_encoding
        if graph is None or encoding is None:
            raise BundleError(
                f"The model {bundle.manifest.name} has no text encoder.",
                "`make model` or `feeder model pull ID` brings a CLIP that has one.",
            )
        self._tokenizer = Tokenizer.from_buffer(bundle.read("tokenizer.json"))
        self._tokenizer.enable_truncation(encoding.context_length)
        self._tokenizer.enable_padding(
            pad_id=encoding.pad_id,
            length=encoding.context_length if encoding.pad_to_context else None,
        )
        self._lowercase = encoding.lowercase
        self._session = _graph_session(bundle, graph, precision, threads, cache)
        self._inputs = {node.name for node in self._session.get_inputs()}
        self._output = graph.output

    def embed(self, prompts: Sequence[str]) -> Vectors:
        """Unit vectors, float32 [len(prompts), d]."""
        rows = [
            self._embed_batch(prompts[start : start + TEXT_BATCH])
            for start in range(0, len(prompts), TEXT_BATCH)
        ]
        return np.concatenate(rows)

    def _embed_batch(self, prompts: Sequence[str]) -> Vectors:
        if self._lowercase:
            prompts = [prompt.lower() for prompt in prompts]
        encoded = self._tokenizer.encode_batch(list(prompts))
        feed: dict[str, npt.NDArray[np.int64]] = {
            "input_ids": np.array([row.ids for row in encoded], np.int64)
        }
        if "attention_mask" in self._inputs:
            feed["attention_mask"] = np.array([row.attention_mask for row in encoded], np.int64)
        (vectors,) = self._session.run([self._output], feed)
        return unit(np.asarray(vectors, np.float32))


def output_widths(path: Path) -> dict[str, int | None]:
    """The outputs of the graph at `path`, each with its last axis's length where that is fixed."""
    nodes = _session(path, threads=1).get_outputs()
    widths = {node.name: node.shape[-1] if node.shape else None for node in nodes}
    return {name: width if isinstance(width, int) else None for name, width in widths.items()}


def _graph_session(
    bundle: Bundle,
    graph: Graph,
    precision: Precision | Literal["auto"],
    threads: int,
    cache: Path | None,
) -> Any:
    """A session on a graph of the bundle, of no byte that the manifest does not describe.

    ONNX Runtime reads the file by itself, and it may be overwritten after it was compared. So it
    is compared again afterwards, and must not have been written to in between, were it only to
    become what it was. Handing over the bytes instead would double the memory a load needs.
    """
    name = bundle.graph_file(graph, precision)
    names = [name, *bundle.weight_files(name)]
    if len(names) > 1 and cache is not None:
        return _session(private_copy(bundle, names, cache) / name, threads)
    paths = [bundle.folder / each for each in names]
    before = [_stamp(path) for path in paths]
    for each in names:
        bundle.compare(each)
    session = _session(bundle.folder / name, threads)
    for each, path, stamp in zip(names, paths, before, strict=True):
        bundle.compare(each)
        if _stamp(path) != stamp:
            raise BundleError(f"{path} was written to while it was loaded.", "Try again.")
    return session


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes with every write to the file and every other file put in its place."""
    try:
        found = path.stat()
    except OSError:
        return None  # what is not there is told by whoever reads it
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _session(path: Path, threads: int) -> Any:
    """An inference session for an unattended small machine.

    No spinning: after each run it burns 58 ms of CPU waiting for work that is seconds away.
    No arena, which would keep the largest run's memory for ever; the memory pattern plans each
    run's in one piece, a fifth faster than piece by piece and no larger.
    """
    # Before the import, which reads it: a bird feeder reports to nobody, and from 1.29 on this
    # library would, leaving a device id in the user's home. Imported here: most commands, and what
    # follows the log all day, run no model.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a family of classes with no common base
        raise BundleError(
            f"ONNX Runtime {ort.__version__} cannot load {path}: {error}",
            "`feeder model verify` checks the files; a newer onnxruntime may be needed.",
        ) from error
