"""The cameras that the log knows by name, and another name for one. SQL is here as in `logbook`."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from feeder.errors import LogbookError
from feeder.log_file import OpenLog, transaction

LIST = "`feeder deployment list` shows them."


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Cameras that are configured and not in the log, and those that are there and no more here."""

    new: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def may_be_renamed(self) -> bool:
        """Whether one may be the other under another name."""
        return bool(self.new and self.left)

    def __str__(self) -> str:
        new, left = (", ".join(map(repr, names)) for names in (self.new, self.left))
        return (
            f"The log does not know {new}, and knows {left}, which is configured no more: if that "
            "is a new name in config.toml, every picture in the folder is logged a second time."
        )

    @property
    def mend(self) -> str:
        """How to go on under the new name."""
        return f"feeder deployment rename {self.left[0]!r} {self.new[0]!r}, with the daemon stopped"


class DeploymentLog(OpenLog):
    """Reads and changes the names. Raises as `OpenLog` does."""

    def names(self) -> list[str]:
        """Those that the log knows, the oldest first."""
        sql = "SELECT location_name FROM deployment ORDER BY deployment_id"
        return [str(name) for (name,) in self._read(sql)]

    def unmatched(self, configured: Collection[str]) -> Unmatched:
        """Where the log's names and the configured ones differ."""
        known = self.names()
        return Unmatched(
            tuple(name for name in configured if name not in known),
            tuple(name for name in known if name not in configured),
        )

    def rename(self, old: str, new: str) -> None:
        """Gives a camera another name, with all that was logged of it.

        Raises LogbookError where the log knows no `old` one, or a `new` one already.
        """
        with transaction(self._connection, self.path):
            known = self.names()
            if old not in known:
                raise LogbookError(f"The log knows no camera {old!r}.", LIST)
            if new in known:
                raise LogbookError(
                    f"The log knows a camera {new!r} already, and does not join two.", LIST
                )
            self._connection.execute(
                "UPDATE deployment SET location_name = ? WHERE location_name = ?", (new, old)
            )


def unmatched(database: Path, configured: Collection[str]) -> Unmatched:
    """The same of the log at `database`; of none that can be read, nothing is known."""
    try:
        with DeploymentLog(database) as log:
            return log.unmatched(configured)
    except LogbookError:
        return Unmatched((), ())
