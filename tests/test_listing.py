"""Python as HTML: the same on every version of Python."""

from __future__ import annotations

import re
from html import unescape

import pytest

from symbackprop.media.listing import highlighted

STRINGS = [
    'f"{name} must be {wanted}"',
    "f\"{', '.join(names)};\"",
    "f'{{}} {value!r:>{width}}'",
    'rf"\\d{number}"',
    'f"""two\nlines of {f"{inner}"}"""',
]


@pytest.mark.parametrize("string", STRINGS)
def test_an_f_string_is_one_string(string: str) -> None:
    html = highlighted(f"raise ValueError({string})\n", ())
    (held,) = re.findall(r'<span class="str">(.*?)</span>', html, re.DOTALL)
    assert unescape(held) == string
    assert unescape(re.sub(r"<[^>]*>", "", html)) == f"raise ValueError({string})\n"
