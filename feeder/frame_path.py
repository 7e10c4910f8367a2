"""The path of a frame's file, which leaves nothing behind once it is done with."""

import sys
from pathlib import Path, PosixPath

if sys.version_info[:2] == (3, 12) and sys.platform != "win32":

    class FramePath(PosixPath):
        """A Path whose parts Python forgets.

        Up to 3.12.6 that series keeps every part of every path it parsed, for ever (issue 113993
        of CPython): 12 MB in 100,000 frames. It gets no changes but security fixes any more, so
        this may lean on its inside.
        """

        __slots__ = ()

        @classmethod
        def _parse_path(cls, path: str) -> tuple[str, str, list[str]]:
            drive, root, rest = cls._flavour.splitroot(path)
            return drive, root, [part for part in rest.split("/") if part and part != "."]

else:
    FramePath = Path
