"""Which feature a raw-wire scenario is about: a row of the compatibility table."""

from __future__ import annotations

CLIENT = "raw wire"
OTHERS = "protocol"  # what is about no API of its own

FEATURES: dict[str, tuple[int, ...]] = {
    "produce": (0,),
    "fetch": (1, 23),
    "timestamps": (2,),
    "offsets": (8, 9, 47),
    "groups": (10, 11, 12, 13, 14, 15, 16, 42),
    "groups KIP-848": (68, 69),
    "transactions": (22, 24, 25, 26, 27, 28, 61, 65, 66),
    "admin": (3, 19, 20, 21, 34, 35, 37, 43, 45, 46, 55, 57, 60, 75),
    "configs": (32, 33, 44, 74),
    "protocol": (18,),
}
_BY_KEY = {key: feature for feature, keys in FEATURES.items() for key in keys}
_BY_MODULE = {"test_read_committed": "transactions", "test_transactional_produce": "transactions"}


def feature_of(module: str, key: int | None = None) -> str:
    """`module`: the name of a module of tests/wire; `key`: the API that its test is called with, if it is."""
    if module.startswith("test_k"):
        key = int(module[len("test_k") :].split("_")[0])
    return _BY_MODULE.get(module) or _BY_KEY.get(-1 if key is None else key, OTHERS)
