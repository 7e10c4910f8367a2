"""A million embeddings searched: Feeder's way beside others, in one run.

    python benchmarks/search.py                    # 1,000,000 x 480, about 1 GB on the disk
    python benchmarks/search.py --width 512 --rounds 5
    pip install usearch sqlite-vec                 # these are measured, too, where they are there

Every contender is given the same float16 file, already in the system's cache, and one query, and
must name the same ten nearest. They take turns, so that a busy spell does not fall on one alone.
sqlite-vec has no float16: it is given a twentieth of the rows as float32, and its time is scaled.
CPU s is the processor time of all threads, which a busy computer hardly changes.
"""

import argparse
import importlib.util
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from feeder.encoder import unit
from feeder.nearest import best_first, cosines

Halves = npt.NDArray[np.float16]
Search = Callable[[], list[int]]

NEAREST = 10
BASELINE = "numpy: convert, then multiply"
SHARE = 20
"""sqlite-vec gets one row in so many."""


def feeder(vectors: Halves, query: np.ndarray) -> Search:
    """What `feeder search` does."""
    return lambda: next(best_first(cosines(vectors, query)))[:NEAREST].tolist()


def plain(vectors: Halves, query: np.ndarray, rows: int = 512) -> Search:
    """The same pass with numpy's own conversion."""

    def search() -> list[int]:
        found = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), rows):
            part = vectors[start : start + rows].astype(np.float32)
            found[start : start + rows] = np.einsum("nd,d->n", part, query)
        return next(best_first(found))[:NEAREST].tolist()

    return search


def onnxruntime(vectors: Halves, query: np.ndarray, rows: int = 4096) -> Search:
    """A graph that casts and multiplies."""
    import onnxruntime as ort
    from onnx import TensorProto, helper

    width = vectors.shape[1]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["vectors"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["wide", "query"], ["cosines"]),
        ],
        "search",
        [
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT16, ["n", width]),
            helper.make_tensor_value_info("query", TensorProto.FLOAT, [width]),
        ],
        [helper.make_tensor_value_info("cosines", TensorProto.FLOAT, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def search() -> list[int]:
        found = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), rows):
            part = {"vectors": vectors[start : start + rows], "query": query}
            found[start : start + rows] = session.run(None, part)[0]
        return next(best_first(found))[:NEAREST].tolist()

    return search


def usearch(vectors: Halves, query: np.ndarray) -> Search:
    """usearch's exact search, on all cores."""
    from usearch.index import MetricKind, search

    half = query.astype(np.float16)
    return lambda: search(vectors, half, NEAREST, MetricKind.IP, exact=True).keys.tolist()


def sqlite_vec(vectors: Halves, query: np.ndarray) -> Search:
    """sqlite-vec on a share of the rows, in memory."""
    import sqlite_vec as extension

    connection = sqlite3.connect(":memory:")
    connection.enable_load_extension(True)
    extension.load(connection)
    width = vectors.shape[1]
    connection.execute(
        f"CREATE VIRTUAL TABLE kept USING vec0(e float[{width}] distance_metric=cosine)"
    )
    connection.executemany(
        "INSERT INTO kept (rowid, e) VALUES (?, ?)",
        ((row, vectors[row].astype(np.float32)) for row in range(0, len(vectors), SHARE)),
    )
    sql = "SELECT rowid FROM kept WHERE e MATCH ? AND k = ? ORDER BY distance"
    return lambda: [row for (row,) in connection.execute(sql, (query.tobytes(), NEAREST))]


def contenders(vectors: Halves, query: np.ndarray) -> dict[str, Search]:
    """Who can be measured here; who cannot is told."""
    found: dict[str, Search] = {BASELINE: plain(vectors, query), "Feeder": feeder(vectors, query)}
    for name, needs, make in (
        ("onnxruntime: Cast and MatMul", "onnx", onnxruntime),
        ("usearch, exact", "usearch", usearch),
        ("sqlite-vec", "sqlite_vec", sqlite_vec),
    ):
        if importlib.util.find_spec(needs) is None:
            print(f"{name}: not measured, {needs} is not installed", file=sys.stderr)
        elif name == "sqlite-vec" and not hasattr(sqlite3.Connection, "enable_load_extension"):
            print(
                f"{name}: not measured, this Python's sqlite3 loads no extensions", file=sys.stderr
            )
        else:
            found[name] = make(vectors, query)
    return found


def write(path: Path, rows: int, width: int) -> Halves:
    """Random unit vectors as the log's copy keeps them."""
    drawn = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in track(range(0, rows, 10_000), "Writing vectors"):
            count = min(10_000, rows - start)
            vectors = unit(drawn.standard_normal((count, width), np.float32))
            file.write(vectors.astype("<f2").tobytes())
    return np.memmap(path, "<f2", "r", shape=(rows, width))


def main() -> int:
    """Exits 1 where a contender finds others than the baseline."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="embeddings (%(default)s)")
    parser.add_argument("--width", type=int, default=480, help="their width (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="searches of each (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        vectors = write(Path(folder) / "embeddings.f16", options.rows, options.width)
        query = vectors[options.rows // 2].astype(np.float32)
        searches = contenders(vectors, query)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in searches}
        expected, wrong = searches[BASELINE](), []
        for _ in range(options.rounds):
            for name, search in searches.items():
                began, used = time.perf_counter(), time.process_time()
                found = search()
                times[name].append((time.perf_counter() - began, time.process_time() - used))
                if name != "sqlite-vec" and set(found) != set(expected):
                    wrong.append(name)
    table = Table("contender", "ratio", "median s", "least s", "most s", "CPU s")
    base = float(np.median([wall for wall, _ in times[BASELINE]]))
    for name, taken in times.items():
        wall, cpu = np.array(taken).T * (SHARE if name == "sqlite-vec" else 1)
        middle = float(np.median(wall))
        figures = (middle / base, middle, wall.min(), wall.max(), np.median(cpu))
        table.add_row(name, *(f"{figure:.2f}" for figure in figures))
    Console().print(table)
    for name in dict.fromkeys(wrong):
        print(f"error: {name} finds others than {BASELINE}.", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
