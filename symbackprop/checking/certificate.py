"""The certificate: what was checked, how, and what came out, ready for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from symbackprop.checking.check import Finding


def certificate(
    findings: Sequence[Finding], generator: str = "", version: str = "", **about: Any
) -> dict[str, Any]:
    """What was checked, how, and what came out, ready for JSON.

    >>> certificate([], generator="symbackprop", version="0", network="none")["holds"]
    False
    """
    checks = [finding for finding in findings if finding.checked]
    methods = Counter(finding.method for finding in checks)
    return {
        "generator": generator,
        "version": version,
        **about,
        "holds": all_hold(findings),
        "checked": len(checks),
        "failed": sum(not finding.holds for finding in findings),
        "definitions": len(findings) - len(checks),
        "methods": dict(sorted(methods.items())),
        "equalities": [_entry(finding) for finding in findings],
    }


def all_hold(findings: Sequence[Finding]) -> bool:
    """Whether something was checked, and everything holds; definitions alone are no check."""
    return any(finding.checked for finding in findings) and all(finding.holds for finding in findings)


def _entry(finding: Finding) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "label": finding.label,
        "equality": _shortened(str(finding.equality)),
        "method": finding.method,
        "residual": finding.residual,
        "holds": finding.holds,
        "entries": finding.entries,
        "sizes": _distinct_sizes(finding.sizes),
    }
    if finding.equality.facts:
        entry["facts"] = list(finding.equality.facts)
    if finding.reason:
        entry["reason"] = finding.reason
    if not finding.telling:
        entry["note"] = "every number that was compared is 0, or as good as 0"
    if finding.same_as is not None:
        entry["as"] = f"{finding.same_as}, names changed"
    return entry


def _distinct_sizes(sizes: Iterable[Mapping[str, int]]) -> list[dict[str, int]]:
    return [dict(pairs) for pairs in dict.fromkeys(tuple(sorted(one.items())) for one in sizes)]


def _shortened(text: str, most: int = 240) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
