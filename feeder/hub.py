"""Brings models in: a published folder or a local one becomes a bundle, whole or not at all.

    pull       download or copy, then:
    describe   its manifest (`published.py`; the export script does these three too)
    certify    encoders tried, self-test recorded, sealed
    publish    one rename into place

Downloads go into a hidden folder beside the target, so that a broken one continues, and nothing is
written anywhere else.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from feeder.bundle import (
    CHECKSUM,
    MANIFEST,
    Bundle,
    Manifest,
    Precision,
    SelfTest,
    file_digest,
    golden_image,
    seal,
)
from feeder.domain import Vectors
from feeder.encoder import ImageEncoder, TextEncoder, unit
from feeder.errors import BundleError
from feeder.preprocess import preprocess
from feeder.published import SETTINGS, SUFFIXES, TOWERS, describe, graph_name, preflight

Progress = Callable[[str], None]
Wanted = Literal["int8", "fp32", "both"]

EXTRAS = ("tokenizer_config.json", "special_tokens_map.json", "README.md", "LICENSE", "NOTICE")

INT8_REFUSED = 0.85  # an int8 embedding this far from fp32's is another model
INT8_SLACK = 0.05  # other processors round int8 otherwise: AVX2 saturates, VNNI and ARM do not
SAME_PRECISION = {"fp32": 0.999, "int8": 0.95}
ATTEMPTS = 3


class _Unreachable(BundleError):
    """The hub could not be reached; what has arrived is kept for the next try."""


def default_name(source: str) -> str:
    """The bundle name for a hub id or a folder: its last part, in lower case."""
    last = Path(source).resolve().name if Path(source).is_dir() else source.rpartition("/")[2]
    return re.sub(r"[^a-z0-9._-]+", "-", last.lower()).strip("-.") or "model"


def pull(
    source: str,
    into: Path,
    *,
    precision: Wanted = "int8",
    revision: str | None = None,
    logit_scale: float | None = None,
    replace: bool = False,
    progress: Progress = lambda line: None,
) -> Bundle:
    """Makes the bundle `into` of `source`: a hub id ("Xenova/clip-vit-base-patch32") or a folder.

    A folder that is a bundle already is verified and copied as it is. `revision` is a branch, tag
    or commit; the commit it meant is recorded. `replace` swaps out a bundle that is there.
    HF_ENDPOINT and HF_HUB_OFFLINE are honoured; offline, the hub's own cache is read.
    Raises BundleError, or OSError where the disk fails, leaving `into` as it was.
    """
    into = into.absolute()
    _refuse_existing(into, replace)
    partial = into.parent / f".{into.name}.partial"
    folder = Path(source).expanduser()
    # A hub id looks like a path; one that is there as a folder is meant as a folder.
    local = folder.is_dir()
    if not local and not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise BundleError(
            f"{source} is neither a folder nor a hub id.",
            "A hub id is OWNER/NAME, such as Xenova/clip-vit-base-patch32.",
        )
    identity, commit = "/".join(folder.resolve().parts[-2:]) if local else source, ""
    if not local and _offline():
        folder, local = _cached(source, revision), True
        commit = folder.name
    with _kept_only_to_resume(partial):
        if local and (folder / MANIFEST).is_file():
            _copy_bundle(folder, partial, progress)
        else:
            if local:
                _copy(folder, partial, precision, identity, logit_scale, progress)
            else:
                commit = _download(source, revision, partial, precision, logit_scale, progress)
            progress("Testing the encoders")
            manifest = describe(
                partial,
                name=into.name,
                source=identity,
                revision=commit,
                logit_scale=logit_scale,
            )
            certify(partial, manifest)
        return publish(partial, into, replace=replace)


def certify(folder: Path, manifest: Manifest) -> Bundle:
    """Runs both encoders in every precision, records the self-test and seals `folder`.

    The self-test holds the fp32 embedding where there is one. Raises BundleError where a graph
    does not run, says the same of different things, or int8 strays from fp32.
    """
    trial = Bundle(folder, manifest, digest="")
    pixels = preprocess(golden_image(), manifest.preprocessing)
    prompts = ("a photo of a blue jay", "an empty bird feeder in the rain")
    images: dict[Precision, Vectors] = {}
    texts: dict[Precision, Vectors] = {}
    try:
        for precision in manifest.image.files:
            views = ImageEncoder(trial, precision).embed(pixels)
            images[precision] = unit(views.mean(axis=0, keepdims=True))
        for precision in manifest.text.files if manifest.text else ():
            texts[precision] = TextEncoder(trial, precision).embed(prompts)
    except BundleError:
        raise
    except Exception as error:  # onnxruntime raises a family of classes with no common base
        raise BundleError(f"The encoders of {manifest.name} do not run: {error}") from error
    closeness = min(_closeness(images, manifest), _closeness(texts, manifest))
    for vectors in texts.values():
        if float(vectors[0] @ vectors[1]) > 0.9999:
            raise BundleError(f"The text encoder of {manifest.name} takes no notice of the text.")
    reference: Precision = "fp32" if "fp32" in images else "int8"
    if len(images) == 2:
        wanted = max(closeness - INT8_SLACK, INT8_REFUSED - INT8_SLACK)
    else:
        wanted = SAME_PRECISION[reference]
    np.save(folder / "self_test.npy", images[reference][0])
    test = SelfTest(file="self_test.npy", min_cosine=round(wanted, 3))
    return seal(folder, manifest.model_copy(update={"self_test": test}))


def _closeness(vectors: dict[Precision, Vectors], manifest: Manifest) -> float:
    """The lowest cosine between int8 and fp32 rows (1 where there is one precision alone)."""
    for rows in vectors.values():
        if rows.shape[1] != manifest.embedding_width or not np.isfinite(rows).all():
            raise BundleError(f"The encoders of {manifest.name} give no usable vectors.")
    if len(vectors) < 2:
        return 1.0
    cosine = float((vectors["int8"] * vectors["fp32"]).sum(axis=1).min())
    if cosine < INT8_REFUSED:
        raise BundleError(
            f"{manifest.name}: int8 strays too far from fp32 (cosine {cosine:.3f}, at least "
            f"{INT8_REFUSED} wanted).",
            "Use --precision fp32.",
        )
    return cosine


def publish(partial: Path, into: Path, *, replace: bool = False) -> Bundle:
    """Renames the sealed folder `partial` to `into`; with `replace`, in place of the one there."""
    _refuse_existing(into, replace)
    old = into.parent / f".{into.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if into.exists():
        os.replace(into, old)
    try:
        os.replace(partial, into)
    except OSError:
        if old.exists():
            os.replace(old, into)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return Bundle.open(into)


def _refuse_existing(into: Path, replace: bool) -> None:
    if into.exists() and not replace:
        raise BundleError(
            f"{into} is there already.", "Give the bundle another name, or replace this one."
        )
    if into.exists() and not (into / MANIFEST).is_file():
        raise BundleError(f"{into} is no model bundle; it is not replaced.")


@contextmanager
def _kept_only_to_resume(partial: Path) -> Iterator[None]:
    """Removes `partial` after a refusal, which another try would only repeat."""
    try:
        yield
    except _Unreachable:
        raise
    except BundleError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


# --- bringing files in -------------------------------------------------------------------------


def _wanted(there: Sequence[str], precision: Wanted, source: str) -> list[str]:
    """The files to bring, small ones first. Raises BundleError naming what is missing."""
    precisions: tuple[Precision, ...] = ("fp32", "int8") if precision == "both" else (precision,)
    graphs = [graph_name(kind, each) for kind in TOWERS for each in precisions]
    missing = [name for name in (*SETTINGS, *graphs) if name not in there]
    if missing:
        raise BundleError(
            f"{source} lacks {', '.join(missing)}.", _where_else(there, missing, source)
        )
    # Weights that outgrew their graph's file lie beside it.
    outgrown = [name for name in there if any(name.startswith(f"{graph}_data") for graph in graphs)]
    return [*SETTINGS, *(name for name in EXTRAS if name in there), *graphs, *outgrown]


def _where_else(there: Sequence[str], missing: Sequence[str], source: str) -> str:
    if not set(missing) & set(SETTINGS):
        for other in SUFFIXES:
            if all(graph_name(kind, other) in there for kind in TOWERS):
                return f"It has the graphs as {other}: ask for --precision {other}."
    return (
        "Feeder needs separate image and text encoders in ONNX, such as Xenova/NAME or "
        "onnx-community/NAME often have; `scripts/export_clip.py --model "
        f"{source}` makes them of a PyTorch model."
    )


def _copy(
    folder: Path,
    partial: Path,
    precision: Wanted,
    identity: str,
    logit_scale: float | None,
    progress: Progress,
) -> None:
    there = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    names = _wanted(there, precision, str(folder))
    preflight(folder, identity, logit_scale)
    _copy_files(folder, partial, names, progress)


def _copy_bundle(folder: Path, partial: Path, progress: Progress) -> None:
    bundle = Bundle.open(folder)
    bundle.verify()
    notes = [name for name in EXTRAS if (folder / name).is_file()]
    _copy_files(folder, partial, {MANIFEST, CHECKSUM, *bundle.manifest.files, *notes}, progress)
    Bundle.open(partial).verify()


def _copy_files(
    folder: Path, partial: Path, names: Sequence[str] | set[str], progress: Progress
) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    for name in sorted(names):
        progress(f"Copying {name}")
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, partial / name)


def _download(
    source: str,
    revision: str | None,
    partial: Path,
    precision: Wanted,
    logit_scale: float | None,
    progress: Progress,
) -> str:
    """Fills `partial` from the hub; returns the commit. Continues what an earlier call began."""
    # Its own transfer protocol keeps a cache in the user's home and does not continue.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="feeder")
    with _hub_errors(source, revision):
        info = api.model_info(source, revision=revision, files_metadata=True)
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    commit = info.sha or revision or "main"
    names = _wanted(list(siblings), precision, source)
    for name in names:
        sibling = siblings[name]
        progress(f"Downloading {name}{_megabytes(sibling.size)}")
        _download_file(api, source, commit, name, partial)
        expected = sibling.lfs.sha256 if sibling.lfs else None
        if expected and file_digest(partial / name) != expected:
            raise BundleError(
                f"{source}: {name} arrived altered: its digest is not the one the hub states.",
                "Pull again; a proxy or the disk may be at fault.",
            )
        if name == SETTINGS[-1]:
            # Known to be useless before the large files are on their way.
            preflight(partial, source, logit_scale)
    _sweep(partial, names)
    return commit


def _download_file(api: Any, source: str, commit: str, name: str, partial: Path) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _hub_errors(source, commit):
                api.hf_hub_download(
                    source,
                    name,
                    revision=commit,
                    local_dir=partial,
                    cache_dir=partial / ".cache" / "hub",
                )
            return
        except _Unreachable:
            if attempt == ATTEMPTS:
                raise


def _sweep(partial: Path, names: Sequence[str]) -> None:
    """Removes whatever else lies there, such as another precision an earlier call fetched."""
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    for path in partial.rglob("*"):
        if path.is_file() and path.relative_to(partial).as_posix() not in names:
            path.unlink()


def _cached(source: str, revision: str | None) -> Path:
    """The folder of `source` in the hub's own cache on this computer."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise BundleError(
            f"{source} is not on this computer, and HF_HUB_OFFLINE forbids fetching it.",
            _BY_HAND,
        ) from error


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


_BY_HAND = (
    "Without a network: fetch the model's files on another computer, carry the folder here and "
    "run `feeder model pull FOLDER`."
)


@contextmanager
def _hub_errors(source: str, revision: str | None) -> Iterator[None]:
    """Says in Feeder's words what went wrong between here and the hub."""
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise BundleError(f"{source} is no hub id: {error}") from error
    except errors.GatedRepoError as error:
        raise BundleError(
            f"{source} asks for its terms to be accepted first.",
            "Accept them on the model's page, then log in with `hf auth login`.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise BundleError(f"{source} has no revision {revision}.") from error
    except errors.RepositoryNotFoundError as error:
        raise BundleError(
            f"The hub has no model {source} (or it is private).",
            "Check the spelling; OWNER/NAME is as on the model's page.",
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise _Unreachable(_broken(source, error.__cause__ or error), _CONTINUE) from error
    except errors.EntryNotFoundError as error:
        raise BundleError(f"{source} promises a file it does not have: {error}") from error
    except OSError as error:
        if isinstance(getattr(error, "errno", None), int) and not isinstance(
            error, (ConnectionError, TimeoutError)
        ):
            raise  # the disk's, not the network's
        raise _Unreachable(_broken(source, error), _CONTINUE) from error


_CONTINUE = f"The same command again continues where this one broke off. {_BY_HAND}"


def _broken(source: str, error: BaseException) -> str:
    """One line, of an error that often wraps three others."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"Fetching {source} failed: the hub answered {response.status_code}."
    while inner := [each for each in error.args if isinstance(each, BaseException)]:
        error = inner[0]
    reason = getattr(error, "reason", error)
    return f"Fetching {source} failed: {str(reason).rpartition(': ')[2] or repr(reason)}."


def _megabytes(size: int | None) -> str:
    return f" ({size / 1e6:.1f} MB)" if size else ""
