"""Who is at the keyboard."""

import getpass


def name() -> str:
    """The name of the person who runs the program, for what they say to be logged with."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no variable says it, and no account has this number
        return "somebody"
