"""What every contender is given. Standard library alone; see `benchmarks/__init__.py`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workload:
    """One model, one list of labels, some pictures, and how long to look at them.

    `checkpoint` is the PyTorch model and `model` the Feeder bundle made of it; `vocabulary` and
    `label_vectors` hold the same `labels` as Feeder's file and as unit vectors [labels, d] of the
    int8 text encoder; `caches` has a prompt cache for each precision, already filled.
    `pictures` are JPEG files below `picture_folder`, grouped by what they are.
    A contender looks at `frames` pictures of each group after `warm_up` uncounted ones, then at
    `paced` more with `pause` seconds between two.
    """

    checkpoint: str
    model: str
    vocabulary: str
    label_vectors: str
    caches: str
    labels: tuple[str, ...]
    template: str
    picture_folder: str
    pictures: dict[str, list[str]]
    frames: int
    warm_up: int
    paced: int
    pause: float

    @property
    def prompts(self) -> list[str]:
        """The labels in the template, in their order."""
        return [self.template.replace("{label}", label) for label in self.labels]

    def save(self, path: Path) -> None:
        """Writes the workload as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Workload":
        """Reads what `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
