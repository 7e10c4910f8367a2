"""Who sits at the computer: the name that stands beside what a person says."""

import getpass


def name() -> str:
    """The operating system's user name; `someone` where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the last two before Python 3.13
        return "someone"
