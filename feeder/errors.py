"""What can go wrong, each with a hint that says what to do next."""


class FeederError(Exception):
    """Base of every error a user can meet.

    `str(error)` is one sentence about what is wrong; `hint` is one sentence about how to mend it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(FeederError):
    """`config.toml` is missing, is not TOML, or holds a key or value that means nothing."""


class BundleError(FeederError):
    """A model folder is missing, incomplete, altered, or fails its self-test."""


class VocabularyError(FeederError):
    """A vocabulary file is wrong, or asks a bundle for a label it cannot embed."""


class BadFrame(FeederError):
    """The bytes of a file are no picture this program accepts; recorded, never fatal."""


class DecoderDied(BadFrame):
    """Decoding the bytes ended the decoder's process: it crashed, or took too long."""


class NotReady(FeederError):
    """The file is still being written, or looks cut short; it goes back to the inbox."""


class Vanished(FeederError):
    """The file is gone, or is no regular file any more; there is nothing left to read."""


class LogbookError(FeederError):
    """The log cannot be opened, was written by a newer release, or is in use by another daemon."""


class NoSuchFrame(LogbookError):
    """The log has no frame with this id."""


class LogDamaged(LogbookError):
    """What is in the log's file is no sound database; the daemon puts a backup in its place."""


class LogUnavailable(LogbookError):
    """The log cannot be read or written now and may be later; nothing is lost by waiting.

    `full` where it is the disk that has no room.
    """

    def __init__(self, message: str, hint: str = "", *, full: bool = False) -> None:
        super().__init__(message, hint)
        self.full = full
