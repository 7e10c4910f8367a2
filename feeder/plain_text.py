"""Text from files, for people and terminals: nothing in it may move the cursor."""


def plain(text: str) -> str:
    """`text` with whatever is not printable escaped, lone surrogates among them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
