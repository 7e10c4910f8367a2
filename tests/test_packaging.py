"""What is installed, and what the daemon loads."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from feeder.bundle import golden_image
from feeder.log_reader import LogReader

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "transformers", "optimum", "onnx", "scipy", "sklearn", "huggingface_hub"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from this tree, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_works_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    """From the wheel alone, `init` and `run` classify a picture with the starter model."""

    def feeder(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "feeder", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    feeder("init", "here")
    golden_image().save(tmp_path / "here" / "snapshots" / "a.png")
    said = feeder("--config", "here/config.toml", "run", "--once")
    assert "model     starter" in said
    assert "a.png" in said
    assert sum(LogReader(tmp_path / "here" / "data" / "feeder.db").count().values()) == 1
    assert "European Robin" in feeder("labels", "list", "--vocabulary", "europe")
    listed = feeder("model", "list")
    assert str(installed) in listed


def test_the_wheel_holds_no_strays(installed: Path) -> None:
    """The wheel holds the package and its models, nothing of tests, data or photographs."""
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"feeder"}
    models = {path.name for path in (installed / "feeder" / "models").iterdir()}
    assert models == {"starter", "vocabularies"}
    pictures = [path for path in installed.rglob("*") if path.suffix in {".jpg", ".png", ".db"}]
    assert pictures == []


def test_the_daemon_loads_nothing_heavy(write_config: Callable[..., Path]) -> None:
    """A daemon that has classified a frame has imported no exporter, trainer or hub client."""
    config = write_config()
    folder = config.parent / "snapshots"
    folder.mkdir()
    golden_image().save(folder / "a.png")
    code = (
        "import sys\n"
        "from feeder.cli import app\n"
        f"app(['--config', {str(config)!r}, 'run', '--once'], standalone_mode=False)\n"
        "print('modules', *sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    # Twice: the first run encodes the prompts, and only later ones find them in the cache.
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "onnxruntime" in loaded
    assert loaded & (HEAVY | {"tokenizers", "jinja2"}) == set()


def test_the_decoder_child_stays_small() -> None:
    """The decoder process imports neither numpy nor the inference engine."""
    code = "import feeder.decoder_process, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"numpy", "onnxruntime", "pydantic"} & set(done.stdout.split()) == set()
