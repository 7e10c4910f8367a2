"""Bringing models in: from a hub (a real HTTP server, a local one), from folders, or not at all."""

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from feeder import hub
from feeder.bundle import Bundle, Preprocessing
from feeder.encoder import ImageEncoder, TextEncoder
from feeder.errors import BundleError
from feeder.published import describe
from tests import tiny_bundle

pytest.importorskip("huggingface_hub")

ROOT = Path(__file__).resolve().parent.parent
ID = "birds/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.ThreadingHTTPServer):
    """Serves the files of `folder` as the hub's API does; `cut` breaks downloads of a file off.

    `cut` maps a file to how often; `log` holds (method, path, Range header) of every request.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.revisions = {"main": COMMIT, "v1": COMMIT, COMMIT: COMMIT}
        self.stated_digests: dict[str, str] = {}
        self.cut: Counter[str] = Counter()
        self.log: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def names(self) -> list[str]:
        """Every file there is."""
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        return sorted(path.relative_to(self.folder).as_posix() for path in paths)

    def fetched(self) -> list[str]:
        """The files whose bytes were asked for."""
        start = f"/{ID}/resolve/{COMMIT}/"
        return [
            path.removeprefix(start)
            for method, path, _ in self.log
            if method == "GET" and path.startswith(start)
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:  # http.server's name
        self._answer(body=False)

    def do_GET(self) -> None:  # http.server's name
        self._answer(body=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the test reads `log`."""

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.server.log.append((self.command, path, self.headers.get("Range", "")))
        if path.startswith("/api/models/"):
            name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            found = self._missing(name, revision or "main")
            self._send(*(found or (200, {}, json.dumps(self._info()).encode())), body)
            return
        name, _, rest = path[1:].partition("/resolve/")
        revision, _, file = rest.partition("/")
        self._send(*(self._missing(name, revision) or self._file(file)), body, cut=file)

    def _missing(self, name: str, revision: str) -> tuple[int, dict[str, str], bytes] | None:
        if name != ID:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if revision not in self.server.revisions:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        return None

    def _info(self) -> dict[str, Any]:
        siblings = []
        for name in self.server.names():
            data = (self.server.folder / name).read_bytes()
            sibling: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
            if name.endswith(".onnx"):
                sha = self.server.stated_digests.get(name, hashlib.sha256(data).hexdigest())
                sibling["lfs"] = {"sha256": sha, "size": len(data), "pointerSize": 130}
            siblings.append(sibling)
        return {"_id": "0", "id": ID, "modelId": ID, "sha": COMMIT, "siblings": siblings}

    def _file(self, name: str) -> tuple[int, dict[str, str], bytes]:
        path = self.server.folder / name
        if not path.is_file():
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        data = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        start = self.headers.get("Range", "")
        if start and self.command == "GET":
            first = int(start.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            return 206, headers, data[first:]
        return 200, headers, data

    def _send(
        self, status: int, headers: dict[str, str], data: bytes, body: bool, cut: str = ""
    ) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if not body:
            return
        if self.server.cut[cut] > 0:
            self.server.cut[cut] -= 1
            data, self.close_connection = data[: len(data) // 2], True
        self.wfile.write(data)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A published model's files; tests spoil them."""
    return tiny_bundle.write_hub_files(tmp_path / "published" / "tiny")


@pytest.fixture
def server(files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that serves `files`, and the environment that leads to it."""
    from huggingface_hub import constants

    running = Hub(files)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", running.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    # What has arrived is kept chunk by chunk, and these files are far below one.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Where the bundle is to be."""
    return tmp_path / "models" / "mine"


def _edit(path: Path, **changes: Any) -> None:
    """Sets keys of a JSON file; None removes one."""
    value = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))


def _rename_output(path: Path, name: str) -> None:
    model = onnx.load(path)
    old = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Identity", [old], [name]))
    model.graph.output[0].name = name
    onnx.save_model(model, str(path))


def _left_behind(into: Path) -> list[str]:
    return sorted(path.name for path in into.parent.glob("*")) if into.parent.exists() else []


# --- from a hub --------------------------------------------------------------------------------


def test_a_pulled_model_is_a_sealed_bundle(server: Hub, into: Path) -> None:
    """A hub id becomes a bundle whose digests hold and whose encoders run."""
    bundle = hub.pull(ID, into)
    Bundle.open(into).verify()
    assert bundle.folder == into and bundle.manifest.name == "mine"
    assert (bundle.manifest.source, bundle.manifest.revision) == (ID, COMMIT)
    assert bundle.manifest.license == "cc0-1.0"
    assert bundle.manifest.self_test is not None
    ImageEncoder(bundle)
    assert TextEncoder(bundle).embed(["a bird"]).shape == (1, tiny_bundle.WIDTH)
    assert _left_behind(into) == ["mine"]


@pytest.mark.parametrize(
    ("precision", "graphs"),
    [
        ("int8", {"text_model_quantized.onnx", "vision_model_quantized.onnx"}),
        ("fp32", {"text_model.onnx", "vision_model.onnx"}),
    ],
)
def test_only_the_wanted_precision_is_fetched(
    server: Hub, into: Path, precision: hub.Wanted, graphs: set[str]
) -> None:
    """Of the graphs only the chosen ones are downloaded; they may be hundreds of megabytes."""
    hub.pull(ID, into, precision=precision)
    fetched = {name.removeprefix("onnx/") for name in server.fetched() if name.endswith(".onnx")}
    assert fetched == graphs == {path.name for path in (into / "onnx").iterdir()}


def test_both_precisions_share_an_fp32_self_test(server: Hub, into: Path) -> None:
    """With both precisions the self-test holds fp32's embedding and allows for int8's."""
    bundle = hub.pull(ID, into, precision="both")
    test, expected = bundle.manifest.self_test, bundle.self_test_embedding
    assert test is not None and expected is not None
    assert 0.8 <= test.min_cosine < 0.999
    ImageEncoder(bundle, "fp32")
    ImageEncoder(bundle, "int8")
    np.testing.assert_allclose(np.linalg.norm(expected), 1, rtol=1e-5)


def test_a_branch_is_recorded_as_its_commit(server: Hub, into: Path) -> None:
    """The manifest names the commit that a branch or tag meant, for branches move."""
    assert hub.pull(ID, into, revision="v1").manifest.revision == COMMIT
    assert any(path.endswith("/revision/v1") for _, path, _ in server.log)


def test_progress_names_each_file(server: Hub, into: Path) -> None:
    """Every download is announced with its size before it begins."""
    lines: list[str] = []
    hub.pull(ID, into, progress=lines.append)
    assert any("onnx/vision_model_quantized.onnx (" in line and "MB)" in line for line in lines)


def test_a_dropped_connection_is_continued_at_once(server: Hub, into: Path) -> None:
    """After one break the rest of the file is asked for, not the whole again."""
    name = "onnx/vision_model_quantized.onnx"
    server.cut[name] = 1
    hub.pull(ID, into).verify()
    ranges = [start for method, path, start in server.log if method == "GET" and name in path]
    assert ranges[0] == "" and len(ranges) == 2
    assert int(ranges[1].removeprefix("bytes=").rstrip("-")) >= 1024


def test_a_broken_download_continues_with_the_next_pull(server: Hub, into: Path) -> None:
    """What arrived is kept beside the target; nothing that arrived is fetched again."""
    name = "onnx/text_model_quantized.onnx"
    server.cut[name] = hub.ATTEMPTS
    with pytest.raises(BundleError) as caught:
        hub.pull(ID, into)
    assert "same command again" in caught.value.hint
    assert _left_behind(into) == [".mine.partial"]
    assert not (into.parent / ".mine.partial" / "manifest.json").exists()
    server.log.clear()
    hub.pull(ID, into).verify()
    assert server.fetched() == [name]
    assert all(start for method, path, start in server.log if method == "GET" and name in path)
    assert _left_behind(into) == ["mine"]


def test_leftovers_of_another_precision_stay_out(server: Hub, into: Path) -> None:
    """A bundle holds what was asked for last, whatever an earlier, broken call fetched."""
    server.cut["onnx/text_model.onnx"] = hub.ATTEMPTS
    with pytest.raises(BundleError):
        hub.pull(ID, into, precision="fp32")
    bundle = hub.pull(ID, into, precision="int8")
    assert not any(name.endswith("model.onnx") for name in bundle.manifest.files)
    assert not (into / ".cache").exists()


def test_an_altered_download_is_refused(server: Hub, into: Path) -> None:
    """A file that is not the one the hub states is named and refused; nothing is left."""
    server.stated_digests["onnx/text_model_quantized.onnx"] = "0" * 64
    with pytest.raises(BundleError, match=r"text_model_quantized\.onnx arrived altered"):
        hub.pull(ID, into)
    assert _left_behind(into) == []


def test_missing_files_are_named(server: Hub, files: Path, into: Path) -> None:
    """A model without ONNX text encoder is refused by name before anything is downloaded."""
    for path in files.glob("onnx/text_model*"):
        path.unlink()
    with pytest.raises(BundleError, match=r"lacks onnx/text_model_quantized\.onnx") as caught:
        hub.pull(ID, into)
    assert "scripts/export_clip.py" in caught.value.hint
    assert server.fetched() == [] and _left_behind(into) == []


def test_the_other_precision_is_suggested(server: Hub, files: Path, into: Path) -> None:
    """Where only fp32 is published, the refusal says so."""
    for path in files.glob("onnx/*_quantized.onnx"):
        path.unlink()
    with pytest.raises(BundleError) as caught:
        hub.pull(ID, into)
    assert "--precision fp32" in caught.value.hint


def test_other_architectures_are_refused_early(server: Hub, files: Path, into: Path) -> None:
    """A model that is neither CLIP nor SigLIP is refused before its weights are fetched."""
    _edit(files / "config.json", model_type="bert")
    with pytest.raises(BundleError, match="'bert'; Feeder reads CLIP and SigLIP"):
        hub.pull(ID, into)
    assert not any(name.endswith(".onnx") for name in server.fetched())
    assert _left_behind(into) == []


def test_an_unknown_model_is_said_to_be_unknown(server: Hub, into: Path) -> None:
    """A 404 is told from a broken network."""
    with pytest.raises(BundleError, match="no model birds/huge"):
        hub.pull("birds/huge", into)


def test_an_unknown_revision_is_said_to_be_unknown(server: Hub, into: Path) -> None:
    """A revision that is not there is named."""
    with pytest.raises(BundleError, match="birds/tiny has no revision v9"):
        hub.pull(ID, into, revision="v9")


def test_without_a_network_the_way_by_hand_is_shown(
    server: Hub, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreachable hub leads to an error that says how to do it offline."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BundleError, match="Fetching birds/tiny failed") as caught:
        hub.pull(ID, into)
    assert "feeder model pull FOLDER" in caught.value.hint


def test_offline_nothing_is_asked_for(
    server: Hub, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HF_HUB_OFFLINE means no request at all, and an error that says so."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(BundleError, match="HF_HUB_OFFLINE forbids") as caught:
        hub.pull(ID, into)
    assert "feeder model pull FOLDER" in caught.value.hint
    assert server.log == []


def test_offline_the_hubs_own_cache_is_read(
    server: Hub, files: Path, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HF_HUB_OFFLINE with the model in the hub's cache makes the bundle of that."""
    from huggingface_hub import constants

    cached = tmp_path / "cache" / "models--birds--tiny"
    shutil.copytree(files, cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    manifest = hub.pull(ID, into).manifest
    assert (manifest.source, manifest.revision) == (ID, COMMIT)
    assert server.log == []


def test_nothing_is_written_in_the_users_home(server: Hub, into: Path, tmp_path: Path) -> None:
    """A pull leaves the home folder as empty as it was."""
    home = tmp_path / "home"
    home.mkdir()
    code = "import sys; from pathlib import Path; from feeder import hub; "
    code += "hub.pull(sys.argv[1], Path(sys.argv[2]))"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    environment = {**kept, "HOME": str(home), "USERPROFILE": str(home)}
    subprocess.run(
        [sys.executable, "-c", code, ID, str(into)], env=environment, cwd=ROOT, check=True
    )
    assert (into / "manifest.json").is_file()
    assert list(home.rglob("*")) == []


# --- from a folder -----------------------------------------------------------------------------


def test_a_folder_becomes_a_bundle_without_a_network(files: Path, into: Path) -> None:
    """Files carried here by hand make the same bundle as those from a hub."""
    manifest = hub.pull(str(files), into, precision="both").manifest
    wanted = tiny_bundle.tiny_manifest("mine").model_dump(exclude={"files", "self_test", "source"})
    assert manifest.model_dump(exclude={"files", "self_test", "source"}) == wanted
    assert manifest.source == "published/tiny"


def test_a_bundle_is_copied_as_it_is(tmp_path: Path, into: Path) -> None:
    """A folder that is a bundle already keeps its manifest, and so its digest in the log."""
    made = Bundle.open(tiny_bundle.make_tiny_clip(tmp_path / "made"))
    copied = hub.pull(str(tmp_path / "made"), into)
    copied.verify()
    assert copied.digest == made.digest


def test_an_altered_bundle_is_not_copied(tmp_path: Path, into: Path) -> None:
    """A bundle that does not match its manifest is refused at the door."""
    made = tiny_bundle.make_tiny_clip(tmp_path / "made")
    (made / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match="not the file its manifest describes"):
        hub.pull(str(made), into)
    assert _left_behind(into) == []


def test_an_existing_bundle_is_kept_unless_replaced(files: Path, into: Path) -> None:
    """A name in use is refused; `replace` swaps the old bundle out whole."""
    old = hub.pull(str(files), into, precision="fp32")
    with pytest.raises(BundleError, match="is there already"):
        hub.pull(str(files), into)
    new = hub.pull(str(files), into, precision="int8", replace=True)
    assert new.digest != old.digest
    assert not (into / "onnx" / "vision_model.onnx").exists()
    assert _left_behind(into) == ["mine"]


def test_a_failed_replacement_leaves_the_old_bundle(files: Path, into: Path) -> None:
    """The bundle in place stays valid when its successor turns out broken."""
    old = hub.pull(str(files), into)
    (files / "onnx" / "vision_model_quantized.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match="cannot load"):
        hub.pull(str(files), into, replace=True)
    assert Bundle.open(into).digest == old.digest
    assert _left_behind(into) == ["mine"]


def test_only_a_bundle_is_ever_replaced(files: Path, into: Path) -> None:
    """`replace` does not sweep away a folder that is no bundle."""
    into.mkdir(parents=True)
    (into / "diary.txt").write_text("dear diary")
    with pytest.raises(BundleError, match="not replaced"):
        hub.pull(str(files), into, replace=True)
    assert (into / "diary.txt").is_file()


def test_int8_far_from_fp32_is_refused(files: Path, tmp_path: Path, into: Path) -> None:
    """An int8 graph that is another model than its fp32 one never becomes a bundle."""
    other = tiny_bundle.write_hub_files(tmp_path / "other", seed=1)
    name = "onnx/vision_model_quantized.onnx"
    shutil.copyfile(other / name, files / name)
    with pytest.raises(BundleError, match="strays too far"):
        hub.pull(str(files), into, precision="both")
    assert _left_behind(into) == []


def test_nonsense_is_neither_folder_nor_id(into: Path) -> None:
    """A source that is nothing is said to be nothing, with an example of an id."""
    with pytest.raises(BundleError, match="neither a folder nor a hub id") as caught:
        hub.pull("clip", into)
    assert "Xenova/clip-vit-base-patch32" in caught.value.hint


def test_names_come_from_the_source(files: Path) -> None:
    """A bundle's name is the last part of the id or folder, fit for a folder's name."""
    assert hub.default_name("Xenova/CLIP-vit-base_patch32") == "clip-vit-base_patch32"
    assert hub.default_name(f"{files}/") == "tiny"


# --- reading what was published ----------------------------------------------------------------


def test_describe_says_what_the_files_say(files: Path) -> None:
    """Every field of the manifest is read from the folder."""
    assert describe(files, source="tiny") == tiny_bundle.tiny_manifest("tiny")


def test_an_unknown_logit_scale_asks_for_one(files: Path, into: Path) -> None:
    """The initial value in config.json is never taken for the trained one."""
    _edit(files / "config.json", feeder_logit_scale=None)
    with pytest.raises(BundleError) as caught:
        hub.pull(str(files), into)
    assert "--logit-scale" in caught.value.hint
    assert hub.pull(str(files), into, logit_scale=55.5).manifest.logit_scale == 55.5


def test_known_checkpoints_need_no_logit_scale(files: Path) -> None:
    """OpenAI's checkpoints have the clipped 100, also in a folder named like the id."""
    _edit(files / "config.json", feeder_logit_scale=None)
    assert describe(files, source="Xenova/clip-vit-base-patch32").logit_scale == 100.0


def test_an_impossible_logit_scale_is_refused(files: Path) -> None:
    """A scale of zero would make every label equally likely."""
    with pytest.raises(BundleError, match="above zero"):
        describe(files, logit_scale=0.0)


CROP = {"views": ("crop",), "size": 32, "resize": 32}
SQUASH = {"views": ("squash",), "size": 32, "resize": 32}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": 32, "crop_size": 32}, CROP),
        ({"size": {"shortest_edge": 40}}, {**CROP, "resize": 40}),
        ({"size": {"height": 32, "width": 32}, "do_center_crop": False}, SQUASH),
        ({"size": {"height": 32, "width": 32}, "do_center_crop": True}, SQUASH),
        ({"resample": 2}, {**CROP, "resample": "bilinear"}),
        ({"resample": None}, {**CROP, "resample": "bicubic"}),
        ({"do_normalize": False}, {**CROP, "mean": (0, 0, 0), "std": (1, 1, 1)}),
    ],
)
def test_preprocessing_is_read(
    files: Path, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The spellings that image processors' settings have had over the years mean the same."""
    _edit(files / "preprocessor_config.json", **changes)
    got = describe(files).preprocessing
    assert got == Preprocessing.model_validate({**got.model_dump(), **expected})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"do_resize": False}, "do_resize is False"),
        ({"do_rescale": False}, "do_rescale is False"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor"),
        ({"do_center_crop": False}, "size is"),
        ({"size": {"height": 32, "width": 48}}, "size is"),
        ({"crop_size": {"height": 48, "width": 48}}, "crop_size"),
        ({"resample": 9}, "resample is 9"),
        ({"do_pad": True}, "do_pad is True"),
    ],
)
def test_preprocessing_that_would_differ_is_refused(
    files: Path, changes: dict[str, Any], why: str
) -> None:
    """What Feeder would only do approximately is refused, with the setting that is to blame."""
    _edit(files / "preprocessor_config.json", **changes)
    with pytest.raises(BundleError, match=why):
        describe(files)


def test_siglip_is_squashed_padded_and_read_from_the_pooler(files: Path, into: Path) -> None:
    """SigLIP: whole picture, every prompt padded to 64, its own pad token, pooler_output."""
    for path in files.glob("onnx/*.onnx"):
        _rename_output(path, "pooler_output")
    _edit(
        files / "config.json",
        model_type="siglip",
        text_config={"max_position_embeddings": 64},
        feeder_logit_bias=-12.5,
    )
    settings = {"size": {"height": 32, "width": 32}, "resample": 3}
    settings |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (files / "preprocessor_config.json").write_text(json.dumps(settings))
    tokens = {"pad_token": {"content": "<|startoftext|>"}}
    (files / "tokenizer_config.json").write_text(json.dumps(tokens))
    manifest = hub.pull(str(files), into).manifest
    assert manifest.preprocessing.views == ("squash",)
    assert manifest.image.output == "pooler_output"
    assert manifest.logit_bias == -12.5
    encoding = manifest.text_encoding
    assert encoding is not None and encoding.pad_to_context and not encoding.lowercase
    assert (encoding.context_length, encoding.pad_id) == (64, tiny_bundle.START)


def test_clip_without_projection_is_refused(files: Path) -> None:
    """CLIP's pooler_output is no embedding that pictures and texts share."""
    _rename_output(files / "onnx" / "vision_model.onnx", "pooler_output")
    with pytest.raises(BundleError, match="no embedding shared by pictures and texts"):
        describe(files)


def test_prompts_are_lowered_for_a_tokenizer_that_is_not_lowering(files: Path) -> None:
    """CLIP and SigLIP only met lower case: a tokenizer that keeps case needs it done before."""
    _edit(files / "tokenizer.json", normalizer=None)
    encoding = describe(files).text_encoding
    assert encoding is not None and encoding.lowercase


@pytest.mark.parametrize(
    ("card", "license"),
    [
        ("---\nlicense: mit\n---\n# Model", "mit"),
        ("---\nlicense: other\nlicense_name: 'garden'\n---\n", "garden"),
        ("---\ntags:\n- clip\n---\nlicense: not here", "unstated"),
        ("", "unstated"),
    ],
)
def test_the_license_is_the_model_cards(files: Path, card: str, license: str) -> None:
    """The license comes from the card's front matter, or is called unstated."""
    (files / "README.md").write_text(card)
    assert describe(files).license == license


def test_a_broken_settings_file_is_named(files: Path) -> None:
    """A JSON file that is none is named, not traced back to."""
    (files / "config.json").write_text("<html>")
    with pytest.raises(BundleError, match=r"config\.json is not JSON"):
        describe(files)
