"""A generated module, run from its source; where a library that it needs is missing, the test is skipped."""

from types import ModuleType

from outside import library


def compiled(source):
    module = ModuleType("generated")
    try:
        exec(compile(source, "<generated>", "exec"), module.__dict__)
    except ModuleNotFoundError as missing:
        library(missing.name)
        raise
    return module
