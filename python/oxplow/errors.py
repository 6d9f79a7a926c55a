"""What can go wrong, as exceptions. Each message is one line that names the file, node or input and the remedy."""

from __future__ import annotations


class Error(Exception):
    """Any failure of Oxplow. `code` is one word that stays the same from version to version."""

    code = "INTERNAL"


class InvalidArgument(Error, ValueError):
    """An input, option or shape that does not fit the model or the machine."""

    code = "INVALID_ARGUMENT"


class InvalidModel(Error, ValueError):
    """A model file that is broken or breaks ONNX's rules."""

    code = "INVALID_MODEL"


class Unsupported(Error, NotImplementedError):
    """Something valid that this version cannot do: an op, a type, a combination."""

    code = "UNSUPPORTED"


class NotFound(Error, FileNotFoundError):
    """A file that is not there."""

    code = "NOT_FOUND"


class OutOfMemory(Error, MemoryError):
    """More memory was needed than there is, or than may be asked for."""

    code = "OUT_OF_MEMORY"


class ReadError(Error, OSError):
    """A file that could not be read."""

    code = "IO"


_CLASSES = {kind.code: kind for kind in (InvalidArgument, InvalidModel, Unsupported, NotFound, OutOfMemory, ReadError)}


def error_of(code: str, message: str) -> Error:
    """The exception for a code of the library."""
    return _CLASSES.get(code, Error)(message)
