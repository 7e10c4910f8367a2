"""The page's password: its Argon2 hash in a file, and who may try how often.

The hash is Argon2id with the parameters that RFC 9106 recommends second, which argon2-cffi takes:
64 MiB and three passes. So one is checked at a time.
"""

import hashlib
import hmac
import math
import os
import secrets
import threading
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from feeder.clock import Clock
from feeder.errors import FeederError
from feeder.web.limits import Buckets, Rate

FEWEST, MOST = 8, 1000
"""Characters of a password."""

ATTEMPTS = {"attempt": Rate(5, 1 / 15)}
"""Wrong passwords from one address: five at once, then four a minute."""

MOST_WAITING = 8
"""Passwords that wait to be checked; more are sent away."""

REMEMBERED = 64
"""Passwords whose check is remembered, as a digest under a key that only this process has."""

_SET = "`feeder serve --set-password` sets a new one."


class PasswordError(FeederError):
    """The password is not one to take, or its file cannot be read."""


class TooManyAttempts(FeederError):
    """Too many passwords were tried; `wait` are the seconds until another may be."""

    def __init__(self, wait: float) -> None:
        super().__init__("Too many passwords were tried.", f"Try again in {math.ceil(wait)} s.")
        self.wait = wait


def write(path: Path, password: str) -> None:
    """Puts the password's hash into the file at `path`, all at once, for its owner alone.

    Raises PasswordError where it is too short or too long, OSError where it cannot be written.
    """
    if len(password) < FEWEST:
        raise PasswordError(
            f"The password has fewer than {FEWEST} characters.", "Some words in a row are easy."
        )
    if len(password) > MOST:
        raise PasswordError(f"The password has more than {MOST} characters.", "Take a shorter one.")
    hashed = PasswordHasher().hash(_spelt(password))
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{hashed}\n")
            file.flush()
            os.fsync(file.fileno())
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # `sudo feeder` is to leave it to whoever owns the folder, as whom the service runs.
            owner = path.parent.stat()
            os.chown(beside, owner.st_uid, owner.st_gid)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read(path: Path) -> str | None:
    """The hash in the file at `path`; None where there is no file.

    Raises PasswordError where it cannot be read or holds no such hash.
    """
    try:
        with path.open(encoding="ascii") as file:
            hashed = file.read(1000).strip()
        extract_parameters(hashed)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, InvalidHashError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no Argon2 hash"
        raise PasswordError(f"The password's file {path} cannot be used: {reason}.", _SET) from None
    return hashed


def _spelt(password: str) -> bytes:
    """One spelling of a letter with its accent, whichever keyboard wrote it."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


@dataclass
class Doorkeeper:
    """Checks passwords against the file at `path`, which may change at any time.

    It may be asked from several threads at once. `is_needed`: without a password nobody comes in.
    """

    path: Path
    is_needed: bool = False
    clock: Clock = field(default_factory=Clock)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), init=False, repr=False)
    _known: OrderedDict[bytes, bool] = field(default_factory=OrderedDict, init=False, repr=False)
    _checking: threading.Lock = field(default_factory=threading.Lock, init=False)
    _waiting: int = field(default=0, init=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, init=False)
    _stamp: tuple[int, ...] | None = field(default=None, init=False)
    _hash: str | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._buckets = Buckets(ATTEMPTS, self.clock)

    def hash(self) -> str | None:
        """The hash that counts now; None where no password is set.

        Raises PasswordError as `read` does, and where one is needed and none is set.
        """
        try:
            found = self.path.stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        except FileNotFoundError:
            stamp = None
        except OSError as error:
            raise PasswordError(
                f"The password's file {self.path} cannot be used: {error.strerror}.", _SET
            ) from None
        with self._guard:
            if stamp != self._stamp:
                self._hash = read(self.path)
                self._stamp = stamp
            current = self._hash if stamp is not None else None
        if current is None and self.is_needed:
            raise PasswordError(
                "The page can be reached from the network, and no password is set.", _SET
            )
        return current

    def admits(self, password: str, address: str) -> bool:
        """Whether this is the password. `address` is whose attempts are counted.

        What was asked before is answered from memory. Raises TooManyAttempts, and PasswordError as
        `hash` does.
        """
        hashed = self.hash()
        if hashed is None or len(password) > MOST:
            return False
        spelt = _spelt(password)
        digest = hmac.digest(self._key, hashed.encode() + b"\0" + spelt, hashlib.sha256)
        with self._guard:
            known = self._known.get(digest)
            if known is not None:
                return known
            if wait := self._buckets.take("attempt", address):
                raise TooManyAttempts(wait)
            if self._waiting >= MOST_WAITING:
                raise TooManyAttempts(5)
            self._waiting += 1
        try:
            with self._checking:
                is_right = _verifies(hashed, spelt)
        finally:
            with self._guard:
                self._waiting -= 1
        with self._guard:
            if is_right:
                self._buckets.give_back("attempt", address)
            self._known[digest] = is_right
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return is_right


def _verifies(hashed: str, spelt: bytes) -> bool:
    try:
        return PasswordHasher().verify(hashed, spelt)
    except Argon2Error:
        return False
