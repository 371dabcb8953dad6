"""A plugin of pytest for a run in which no library of the extra ``targets`` can be imported."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

MISSING = ("array_api_compat", "dask", "distributed", "jax", "numba", "torch")


class Missing(MetaPathFinder):
    """Finds none of them, and lets nobody else look."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def pytest_configure() -> None:
    """Only where this is a plugin: the module itself may be imported by anybody."""
    sys.meta_path.insert(0, Missing())
