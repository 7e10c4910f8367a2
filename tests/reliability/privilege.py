"""To be refused what file modes forbid, also where the tests run as root."""

import os
import shutil

import pytest


def without_privilege() -> list[str]:
    """A command's first words that take root's right to read everything from it; none for others.

    Skips where root's right cannot be taken.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may read everything, and there is no setpriv here")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
