"""Draws docs/feeder.svg: Feeder at work on the pictures of a folder, as a terminal shows it.

python scripts/make_picture.py FOLDER [--output docs/feeder.svg]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 120
SHOWN = [("run", "--once"), ("sightings", "--limit", "5")]


def main() -> None:
    """Runs the commands on copies of the pictures and saves what they print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="pictures to show it with")
    parser.add_argument("--output", type=Path, default=Path("docs/feeder.svg"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        draw(arguments.folder, Path(place) / "garden", arguments.output)


def draw(pictures: Path, place: Path, output: Path) -> None:
    """Runs every shown command in `place` and writes their output as one SVG to `output`."""
    feeder = [sys.executable, "-m", "feeder"]
    subprocess.run([*feeder, "init", str(place)], check=True, stdout=subprocess.DEVNULL)
    for picture in sorted(path for path in pictures.iterdir() if path.is_file()):
        shutil.copy2(picture, place / "snapshots")
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        for command in SHOWN:
            console.print(Text(f"$ feeder {' '.join(command)}", "bold"))
            done = subprocess.run(
                [*feeder, *command],
                cwd=place,
                env={
                    **os.environ,
                    "PYTHONPATH": str(Path.cwd()),
                    "FORCE_COLOR": "1",
                    "COLUMNS": str(WIDTH),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=True,
                text=True,
            )
            console.print(Text.from_ansi(done.stdout.replace(str(place), "/home/ada/garden")))
            console.print()
        console.save_svg(str(output), title="feeder")


if __name__ == "__main__":
    main()
