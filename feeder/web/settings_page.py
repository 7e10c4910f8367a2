"""The settings, to read: each with what it is for, and whether it was changed; secrets masked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic_core import PydanticUndefined

from feeder.config import Settings
from feeder.settings_sections import Section
from feeder.web.desk import TheDesk
from feeder.web.rendering import page

router = APIRouter()

_SECRET = ("password", "token", "secret", "user")
"""Parts of the names of keys whose values nobody is to read over a shoulder."""

HIDDEN = "set, and not shown"


@dataclass(frozen=True)
class Shown:
    """A key of config.toml as the page shows it; `value` is "" where it is left out."""

    key: str
    value: str
    default: str
    is_changed: bool
    about: str


@dataclass(frozen=True)
class Group:
    """A section of config.toml."""

    title: str
    about: str
    keys: tuple[Shown, ...]


@router.get("/settings")
def settings_page(request: Request, desk: TheDesk) -> HTMLResponse:
    """All of them, as config.toml groups them."""
    return page(request, "settings", groups=list(groups(desk.settings)), path=desk.settings.path)


def groups(settings: Settings) -> Iterator[Group]:
    """The sections of the settings in the order of the file."""
    for name in type(settings).model_fields:
        found = getattr(settings, name)
        for section in found if isinstance(found, list) else [found]:
            if isinstance(section, Section):
                repeated = isinstance(found, list)
                yield _group(f"[[{name}]]" if repeated else f"[{name}]", section)


def _group(title: str, section: Section) -> Group:
    keys = []
    for key, field in type(section).model_fields.items():
        value, default = getattr(section, key), field.default
        is_needed = default is PydanticUndefined
        keys.append(
            Shown(
                key,
                _text(key, value, is_default=value == default),
                "" if is_needed else _text(key, default, is_default=True),
                not is_needed and value != default,
                field.description or "",
            )
        )
    return Group(title, " ".join((type(section).__doc__ or "").split()), tuple(keys))


def _text(key: str, value: Any, *, is_default: bool) -> str:
    """A value as config.toml writes it, or near it, without what it may not give away."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_text(key, one, is_default=is_default) for one in value) + "]"
    if not isinstance(value, str):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if is_default:
        return f'"{value}"'
    if any(part in key for part in _SECRET):
        return HIDDEN
    return f'"{masked(key, value)}"'


def masked(key: str, value: str) -> str:
    """An address without whatever may be a key to it: `ntfy://…`; other text as it is.

    Of what is sent to, whatever is no plain name or path is taken for an address.
    """
    scheme, colon, _ = value.partition(":")
    if "://" in value:
        return f"{scheme}://…"
    if key in ("send_to", "broker") and (colon or "@" in value):
        return "…"
    return value
