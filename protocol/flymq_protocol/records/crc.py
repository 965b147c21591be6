"""CRC-32C, from the package `crc32c`, without what else importing that package does.

Its `__init__` reads the package's metadata and imports a command line, together 65 ms: a fifth of a
broker's start. Only the compiled module is needed, so it is loaded by itself; where that does not
work, the package is imported as usual.
"""

from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import cast

from ..types import Buffer

_PACKAGE, _MODULE = "crc32c", "crc32c._crc32c"


def _load() -> Callable[[Buffer], int]:
    package = PathFinder.find_spec(_PACKAGE)
    if package is not None:
        spec = PathFinder.find_spec(_MODULE, package.submodule_search_locations)
        if spec is not None and spec.loader is not None:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            return cast(Callable[[Buffer], int], module.crc32c)
    from crc32c import crc32c

    return crc32c


crc32c = _load()
"""`crc32c(buffer)`: the checksum (Castagnoli), unsigned 32 bits. Releases the GIL on large buffers."""
