"""Text for people, on terminals, pages and phones: nothing in it may move the cursor."""


def plain(text: str) -> str:
    """`text` with whatever is not printable escaped, lone surrogates among them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def percent(share: float | None) -> str:
    """`97 %`, or "" for None; never 100 % of what is not certain."""
    if share is None:
        return ""
    return f"{min(int(share * 100 + 0.5), 99) if share < 1 else 100} %"
