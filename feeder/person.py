"""Who sits at the keyboard."""

import getpass


def name() -> str:
    """The operating system's name for the user; "somebody" where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user need not be in any list
        return "somebody"
