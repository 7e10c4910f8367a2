"""Feeder: every frame a bird feeder's camera drops becomes a row in a log people read."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feeder.classifier import Classifier as Classifier

__version__ = "0.1.0"
__all__ = ["Classifier", "__version__"]


def __getattr__(name: str) -> Any:
    # On demand: the decoder's child process imports this package and must stay small.
    if name == "Classifier":
        from feeder.classifier import Classifier

        return Classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
