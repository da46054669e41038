"""Lets the pages show the formulas of docstrings, which are written as in reStructuredText, and their sections."""

import re
import textwrap
from typing import Any

from griffe import Extension, Object

BLOCK = re.compile(r"^( *)\.\. math::(.*(?:\n(?:\1 +.*|[ ]*(?=\n\1 +)))*)", re.MULTILINE)
INLINE = re.compile(r":math:`([^`]+)`")
SECTION = re.compile(r"^( *)(Shapes|Args|Attributes|Returns|Yields|Raises|Source|Example):$", re.MULTILINE)
ROLE = re.compile(r":(?:meth|class|func|mod|attr):`~?([^`]+)`")


def displayed(found: re.Match[str]) -> str:
    """One ``.. math::`` block between display brackets."""
    formula = " ".join(textwrap.dedent(found[2]).split())
    return f"\n{found[1]}\\[{formula}\\]\n"


class Formulas(Extension):
    """Rewrites every docstring before it is rendered."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is None:
            return
        text = BLOCK.sub(displayed, obj.docstring.value)
        text = INLINE.sub(r"\\(\1\\)", text)
        text = SECTION.sub(r"\n\1\2:", text)
        obj.docstring.value = ROLE.sub(r"`\1`", text)
