"""Print every table: ``python -m benchmarks``, or only some: ``python -m benchmarks depth process``.

``python -m benchmarks gradients`` takes numbers of workloads, ``--quick`` and ``--plot FILE`` as well.
"""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("depth", "composite", "process", "memory", "gradients")


def main(names: list[str]) -> None:
    """Run the named benchmarks, all of them if none is named."""
    if names[:1] == ["gradients"]:
        import_module("benchmarks.gradients").main(names[1:])
        return
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"{unknown[0]!r} is no benchmark; there are {', '.join(NAMES)}")
    for name in names or NAMES:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
