"""The benchmark: it runs to its end; how fast anything is depends on the computer."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import BASELINE, CONTENDERS
from benchmarks.made_log import make_log
from benchmarks.summary import disagreements, summarise
from feeder import label_edits
from feeder.classifier import Classifier
from feeder.label_embeddings import bundle_labels
from feeder.relabel import preview
from feeder.verdict_log import Scope
from tests import torch_models
from tests.pictures import camera_picture

ROOT = Path(__file__).resolve().parent.parent
EXTRA = ("torch", "transformers", "optimum", "open_clip")


@pytest.mark.export
@pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads memory from /proc")
def test_a_quick_run_measures_every_contender(tmp_path: Path) -> None:
    """On a tiny CLIP every contender ends with positive numbers, and fp32 ones agree."""
    for package in EXTRA:
        # Looked for, not imported: importing takes seconds.
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (`make setup-export`)")
    model, result = torch_models.make_clip(tmp_path / "clip"), tmp_path / "result.json"
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, width in (("a.jpg", 160), ("b.jpg", 120)):
        camera_picture(width, 100).save(photos / name)
    command = [sys.executable, "-m", "benchmarks", "--quick", "--model", str(model)]
    command += ["--photos", str(photos), "--work", str(tmp_path / "work"), "--json", str(result)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    contenders = json.loads(result.read_text())["contenders"]
    assert contenders.keys() >= CONTENDERS.keys() - {"feeder-starter"}
    for row in contenders.values():
        assert row["first_result_s"] > 0
        assert row["peak_mb"] >= row["private_end_mb"] > 0
        assert all(group["frame_ms"] > 0 for group in row["groups"].values())
        assert all(group["cpu_ms"] > 0 for group in row["groups"].values())
    assert str(tmp_path) not in result.read_text()


def _measured(probability: float) -> dict[str, object]:
    singles = dict.fromkeys(
        ("first_result_s", "private_ready_mb", "private_end_mb", "peak_mb"), 1.0
    )
    group = {"frame_ms": [1.0, 2.0, 3.0], "cpu_ms": 1.0}
    return {**singles, "groups": {"g": group}, "probabilities": {"a.jpg": [probability, 0.5]}}


@pytest.mark.parametrize(("probability", "wrong"), [(0.5005, 0), (0.502, 1), (float("nan"), 1)])
def test_an_exact_contender_must_agree(probability: float, wrong: int) -> None:
    """An fp32 contender that strays from the baseline's probabilities is reported."""
    round_ = {BASELINE: _measured(0.5), "feeder-fp32": _measured(probability)}
    assert len(disagreements(summarise([round_]))) == wrong


def test_searches_agree() -> None:
    """Every way of searching that is installed finds the same frames."""
    command = [sys.executable, "benchmarks/search.py", "--rows", "3000", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Feeder" in done.stdout


def test_a_made_log_is_judged_as_it_was_made(tmp_path: Path) -> None:
    """The log that judging again is measured on keeps its verdicts, and changes with a label."""
    classifier = Classifier.load("starter", threads=1)
    log = tmp_path / "feeder.db"
    make_log(log, classifier, 400, often="House Finch")
    again = preview(log, tmp_path / "cache", classifier, Scope())
    assert (again.frames, again.changed) == (400, 0)
    labels = bundle_labels(classifier.bundle)
    fewer = label_edits.remove(labels, "House Finch")
    other = Classifier(classifier.bundle, fewer, threads=1, lazy=True)
    changed = preview(log, tmp_path / "cache", other, Scope()).changed
    assert 0.1 < changed / 400 < 0.3
