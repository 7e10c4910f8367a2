"""The export script: what it publishes computes what PyTorch does, or it publishes nothing."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from feeder import hub
from feeder.bundle import Bundle
from feeder.classifier import Classifier
from feeder.domain import Vectors
from feeder.encoder import ImageEncoder, TextEncoder, unit
from feeder.preprocess import preprocess
from tests import torch_models
from tests.pictures import PICTURES

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "export_clip.py"

for _package in ("torch", "transformers", "optimum", "open_clip"):
    # Looked for, not imported: they take seconds, and open_clip needs more than its data here.
    if importlib.util.find_spec(_package) is None:
        pytest.skip(f"{_package} is not installed (`make setup-export`)", allow_module_level=True)

sys.path.insert(0, str(SCRIPT.parent))

import export_clip  # noqa: E402  # found by the line above

pytestmark = pytest.mark.export

TEXTS = [
    "a photo of a Blue Jay, a type of bird.",
    "a photo of a cat",
    "An empty bird-feeder; in the rain!",
    "robin",
]
NAMES = ["quick_gelu", "gelu", "siglip"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """For each of NAMES a checkpoint and the bundle made of it."""
    root = tmp_path_factory.mktemp("exported")
    made = {}
    for name in NAMES:
        folder = root / "checkpoints" / name
        if name == "siglip":
            torch_models.make_siglip(folder)
        else:
            torch_models.make_clip(folder, activation=name)
        bundle = root / "models" / name
        assert export_clip.main(["--model", str(folder), "--output", str(bundle)]) == 0
        made[name] = (folder, bundle)
    return made


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary of two labels, so that loading a classifier embeds next to nothing."""
    path = tmp_path_factory.mktemp("vocabulary") / "two.toml"
    labels = [f'[[label]]\nname = "{name}"\nkind = "bird"\n' for name in ("Blue Jay", "Robin")]
    path.write_text("\n".join(labels))
    return path


@pytest.fixture
def checkpoint(exported: dict[str, tuple[Path, Path]]) -> Path:
    """A tiny CLIP checkpoint."""
    return exported["quick_gelu"][0]


def _model(folder: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder).eval()


def _pixels(folder: Path, pictures: list[Image.Image]) -> Any:
    """Model input by transformers' own Pillow processor."""
    from transformers import CLIPImageProcessor, SiglipImageProcessor

    settings = json.loads((folder / "preprocessor_config.json").read_text())
    cls = {"CLIPImageProcessor": CLIPImageProcessor, "SiglipImageProcessor": SiglipImageProcessor}
    processor = cls[settings["image_processor_type"]].from_pretrained(folder)
    return processor([each.convert("RGB") for each in pictures], return_tensors="pt").pixel_values


def _tokens(folder: Path, texts: list[str]) -> Any:
    from transformers import AutoTokenizer

    siglip = json.loads((folder / "config.json").read_text())["model_type"] == "siglip"
    encoded = AutoTokenizer.from_pretrained(folder)(
        texts,
        padding="max_length" if siglip else True,
        truncation=True,
        max_length=64 if siglip else 77,
        return_tensors="pt",
    )
    wanted = ("input_ids",) if siglip else ("input_ids", "attention_mask")
    return {name: encoded[name] for name in wanted}


def _reference_probabilities(folder: Path, pictures: list[Image.Image]) -> Vectors:
    """Probabilities [pictures, TEXTS] by transformers' pipeline."""
    from transformers import CLIPImageProcessor, pipeline

    classify = pipeline(
        "zero-shot-image-classification",
        model=str(folder),
        image_processor=CLIPImageProcessor.from_pretrained(folder),
    )
    rows = []
    for answer in classify(pictures, candidate_labels=TEXTS, hypothesis_template="{}"):
        scores = {each["label"]: each["score"] for each in answer}
        rows.append([scores[text] for text in TEXTS])
    return np.array(rows, np.float32)


def _published(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir()) if models.exists() else []


@pytest.mark.parametrize("name", NAMES)
def test_image_embeddings_equal_transformers(
    name: str, exported: dict[str, tuple[Path, Path]]
) -> None:
    """For both activations of CLIP and for SigLIP, fp32 image vectors are PyTorch's to 1e-4."""
    import torch

    folder, path = exported[name]
    bundle = Bundle.open(path)
    pictures = [make() for make in PICTURES.values()]
    with torch.no_grad():
        expected = _model(folder).get_image_features(_pixels(folder, pictures)).numpy()
    pixels = np.concatenate([preprocess(each, bundle.manifest.preprocessing) for each in pictures])
    got = ImageEncoder(bundle, "fp32").embed(pixels)
    np.testing.assert_allclose(got, unit(expected), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_text_embeddings_equal_transformers(
    name: str, exported: dict[str, tuple[Path, Path]]
) -> None:
    """Prompts of unequal length, and one too long, are embedded as PyTorch embeds them."""
    import torch

    folder, path = exported[name]
    texts = [*TEXTS, "a very long " + "story about the bird " * 40]
    with torch.no_grad():
        expected = _model(folder).get_text_features(**_tokens(folder, texts)).numpy()
    got = TextEncoder(Bundle.open(path), "fp32").embed(texts)
    np.testing.assert_allclose(got, unit(expected), atol=1e-4)


@pytest.mark.parametrize("name", ["quick_gelu", "gelu"])
def test_probabilities_equal_the_zero_shot_pipelines(
    name: str, exported: dict[str, tuple[Path, Path]], vocabulary: Path
) -> None:
    """From picture to probability, Feeder agrees with transformers' zero-shot pipeline."""
    folder, path = exported[name]
    pictures = [PICTURES[each]() for each in ("golden", "odd", "portrait", "tiny")]
    classifier = Classifier.load(path, vocabulary, precision="fp32")
    got = classifier.predict_proba(pictures, TEXTS)
    np.testing.assert_allclose(got, _reference_probabilities(folder, pictures), atol=1e-4)


def test_siglip_probabilities_are_a_softmax_of_its_logits(
    exported: dict[str, tuple[Path, Path]], vocabulary: Path
) -> None:
    """SigLIP's labels compete here, so its logits go through a softmax, which drops the bias."""
    import torch

    folder, path = exported["siglip"]
    pictures = [PICTURES[each]() for each in ("golden", "odd", "large")]
    with torch.no_grad():
        answer = _model(folder)(pixel_values=_pixels(folder, pictures), **_tokens(folder, TEXTS))
    expected = answer.logits_per_image.softmax(dim=1).numpy()
    got = Classifier.load(path, vocabulary, precision="fp32").predict_proba(pictures, TEXTS)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_full_size_clip_agrees_with_the_pipeline(tmp_path: Path, vocabulary: Path) -> None:
    """ViT-B/32: fp32 probabilities are the pipeline's, and int8 vectors point the same way."""
    folder = torch_models.make_clip(tmp_path / "vit-b32", full_size=True)
    output = tmp_path / "models" / "vit-b32"
    assert export_clip.main(["--model", str(folder), "--output", str(output)]) == 0
    pictures = [PICTURES[each]() for each in ("golden", "odd", "large")]
    fp32 = Classifier.load(output, vocabulary, precision="fp32")
    expected = _reference_probabilities(folder, pictures)
    np.testing.assert_allclose(fp32.predict_proba(pictures, TEXTS), expected, atol=1e-4)
    int8 = Classifier.load(output, vocabulary, precision="int8")
    assert (fp32.embed(pictures) * int8.embed(pictures)).sum(axis=1).min() > 0.98
    sizes = {path.name: path.stat().st_size / 1e6 for path in (output / "onnx").iterdir()}
    assert sizes["vision_model_quantized.onnx_data"] < 100 < 300 < sizes["vision_model.onnx_data"]


def test_the_trained_logit_scale_and_bias_are_recorded(
    exported: dict[str, tuple[Path, Path]],
) -> None:
    """The manifest holds exp of the weights' logit scale, not the initial value of the config."""
    clip, siglip = (Bundle.open(exported[name][1]).manifest for name in ("gelu", "siglip"))
    assert clip.logit_scale == pytest.approx(np.exp(3.5))
    assert (siglip.logit_scale, siglip.logit_bias) == pytest.approx((np.exp(3.5), -7.25))


def test_an_exported_folder_can_be_pulled(
    exported: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    """Its config.json carries the logit scale, so the files alone make the same model again."""
    bundle = Bundle.open(exported["siglip"][1])
    files = tmp_path / "files"
    files.mkdir()
    for name in bundle.manifest.files:
        (files / name).parent.mkdir(exist_ok=True)
        (files / name).write_bytes(bundle.path(name).read_bytes())
    again = hub.pull(str(files), tmp_path / "models" / "again", precision="both").manifest
    ignored = {"name", "source", "files"}
    assert again.model_dump(exclude=ignored) == bundle.manifest.model_dump(exclude=ignored)


def test_without_int8_there_is_fp32_alone(checkpoint: Path, tmp_path: Path) -> None:
    """`--no-int8` leaves the int8 graphs out, and the self-test can be strict."""
    output = tmp_path / "models" / "plain"
    arguments = ["--model", str(checkpoint), "--output", str(output), "--no-int8"]
    assert export_clip.main(arguments) == 0
    manifest = Bundle.open(output).manifest
    assert set(manifest.image.files) == {"fp32"}
    assert manifest.self_test is not None and manifest.self_test.min_cosine > 0.99


def test_a_graph_that_differs_is_not_published(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """An exporter that gets the weights wrong is caught; the exit is 1 and nothing remains."""
    export_tower = export_clip._export_tower

    def tamper(tower: export_clip.Tower, folder: Path) -> None:
        import torch

        if tower.kind == "vision":
            with torch.no_grad():
                tower.module.visual_projection.weight[0, 0] += 0.1
            export_tower(tower, folder)
            with torch.no_grad():
                tower.module.visual_projection.weight[0, 0] -= 0.1
        else:
            export_tower(tower, folder)

    monkeypatch.setattr(export_clip, "_export_tower", tamper)
    output = tmp_path / "models" / "wrong"
    assert export_clip.main(["--model", str(checkpoint), "--output", str(output)]) == 1
    assert "image, batch 1: the ONNX graph differs from PyTorch" in capsys.readouterr().err
    assert _published(tmp_path / "models") == []


def test_int8_that_strays_is_not_published(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Quantisation that ruins a tower is caught against fp32; nothing remains."""
    import onnx
    from onnx import numpy_helper

    def ruin(folder: Path, kind: str) -> None:
        model = onnx.load(folder / "onnx" / f"{kind}_model.onnx")
        rng = np.random.default_rng(0)
        for weight in model.graph.initializer:
            if len(weight.dims) == 2:
                values = numpy_helper.to_array(weight)
                values = values + rng.normal(0, values.std(), values.shape).astype(values.dtype)
                weight.CopyFrom(numpy_helper.from_array(values, weight.name))
        onnx.save_model(model, str(folder / "onnx" / f"{kind}_model_quantized.onnx"))

    monkeypatch.setattr(export_clip, "_quantise", ruin)
    output = tmp_path / "models" / "ruined"
    assert export_clip.main(["--model", str(checkpoint), "--output", str(output)]) == 1
    said = capsys.readouterr().err
    assert "int8 strays too far from fp32" in said and "--no-int8" in said
    assert _published(tmp_path / "models") == []


def test_a_bundle_in_the_way_is_replaced_only_by_force(checkpoint: Path, tmp_path: Path) -> None:
    """Without `--force` an existing bundle is left alone, and the refusal comes at once."""
    output = tmp_path / "models" / "mine"
    arguments = ["--model", str(checkpoint), "--output", str(output), "--no-int8"]
    assert export_clip.main(arguments) == 0
    before = Bundle.open(output).digest
    assert export_clip.main([*arguments[:-1], "--int8"]) == 1
    assert Bundle.open(output).digest == before
    assert export_clip.main([*arguments[:-1], "--int8", "--force"]) == 0
    assert Bundle.open(output).digest != before
    assert _published(tmp_path / "models") == ["mine"]


def test_other_models_are_refused(tmp_path: Path, capsys: Any) -> None:
    """A checkpoint that is neither CLIP nor SigLIP is refused by its type."""
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    output = tmp_path / "models" / "bert"
    assert export_clip.main(["--model", str(folder), "--output", str(output)]) == 1
    assert "'bert' model; only CLIP and SigLIP" in capsys.readouterr().err
    assert _published(tmp_path / "models") == []


def test_missing_libraries_are_named(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Without the export extra the script says which command brings it."""
    monkeypatch.setitem(sys.modules, "optimum.exporters.onnx", None)
    output = tmp_path / "models" / "none"
    assert export_clip.main(["--model", str(checkpoint), "--output", str(output)]) == 1
    assert 'pip install "feeder[export]"' in capsys.readouterr().err


def test_a_tokenizer_in_the_old_files_is_converted(
    checkpoint: Path, tmp_path: Path, exported: dict[str, tuple[Path, Path]]
) -> None:
    """A checkpoint with vocab.json and merges.txt alone tokenizes the same."""
    old = tmp_path / "old"
    old.mkdir()
    for path in checkpoint.iterdir():
        if path.name != "tokenizer.json":
            (old / path.name).write_bytes(path.read_bytes())
    output = tmp_path / "models" / "old"
    assert export_clip.main(["--model", str(old), "--output", str(output), "--no-int8"]) == 0
    got = TextEncoder(Bundle.open(output), "fp32").embed(TEXTS)
    wanted = TextEncoder(Bundle.open(exported["quick_gelu"][1]), "fp32").embed(TEXTS)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_a_vocabulary_is_embedded_ahead(
    checkpoint: Path, tmp_path: Path, vocabulary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `--vocabulary` a classifier starts without loading the text encoder."""
    output, cache = tmp_path / "models" / "ahead", tmp_path / "cache"
    arguments = ["--model", str(checkpoint), "--output", str(output)]
    arguments += ["--vocabulary", str(vocabulary), "--cache", str(cache)]
    assert export_clip.main(arguments) == 0

    def no_text_encoder(*_: Any) -> None:
        raise AssertionError("the prompts were not all cached")

    monkeypatch.setattr("feeder.classifier.TextEncoder", no_text_encoder)
    classifier = Classifier.load(output, vocabulary, cache=cache)
    assert [label.name for label in classifier.labels] == ["Blue Jay", "Robin"]


def test_samples_are_the_pictures_compared(checkpoint: Path, tmp_path: Path, capsys: Any) -> None:
    """`--samples` compares int8 with fp32 on those pictures; a folder without any is refused."""
    samples = tmp_path / "samples"
    samples.mkdir()
    arguments = ["--model", str(checkpoint), "--output", str(tmp_path / "models" / "sampled")]
    arguments += ["--samples", str(samples)]
    assert export_clip.main(arguments) == 1
    PICTURES["odd"]().save(samples / "odd.jpg")
    PICTURES["rgba"]().save(samples / "rgba.png")
    assert export_clip.main(arguments) == 0
    assert "int8, 2 pictures: cosine to fp32" in capsys.readouterr().err


def test_help_shows_how_to_call_it() -> None:
    """`--help` ends with examples, and answers without loading torch."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(SCRIPT), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "export_clip.py --model openai/clip-vit-base-patch32" in done.stdout
    assert "torch" not in {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
