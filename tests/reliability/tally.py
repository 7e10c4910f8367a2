"""How often a promise is tried, and what came of it."""

from dataclasses import dataclass, field


@dataclass
class Tally:
    """`--count` and `--full` in, one printed line a promise out."""

    full: bool
    chosen: dict[str, int]
    lines: list[str] = field(default_factory=list)

    def goal(self, name: str, *, short: int, full: int) -> int:
        """How often to try `name`: `full` is the promise's own figure, `short` the suite's."""
        return self.chosen.get(name, full if self.full else short)

    def report(self, promise: int, **counts: object) -> None:
        """Keeps a promise's counts for the end of the run."""
        said = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
        self.lines.append(f"promise {promise:>2}: {said}")
