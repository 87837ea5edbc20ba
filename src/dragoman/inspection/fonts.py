"""Fonts of this machine for scripts that matplotlib's own font lacks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from contextlib import suppress

from matplotlib.font_manager import findSystemFonts, fontManager, get_font

FIRST = "DejaVu Sans"  # comes with matplotlib
_REGULAR = (400, "normal", "regular")


def fonts_for(texts: Iterable[str]) -> tuple[list[str], str]:
    """Families that together have the characters of ``texts``, and the characters none has."""
    wanted = {ord(c) for c in "".join(texts) if unicodedata.category(c)[0] not in "CZ"}
    families = [FIRST]
    wanted -= get_font(fontManager.findfont(FIRST)).get_charmap().keys()
    if wanted:
        _add_new_fonts()
        plain = [f for f in fontManager.ttflist if f.style == "normal" and f.weight in _REGULAR]
        known = {f.name: wanted & get_font(f.fname).get_charmap().keys() for f in plain}
        known.pop("Last Resort High-Efficiency", None)  # matplotlib's boxes for what is missing

        def gain(name: str) -> tuple[int, bool, str]:
            return len(known[name] & wanted), "Sans" in name, name

        # The fewest fonts, so that a sentence looks of a piece; of equals one without serifs.
        while known and gain(best := max(known, key=gain))[0]:
            families.append(best)
            wanted -= known[best]
    return families, "".join(sorted(map(chr, wanted)))


def _add_new_fonts() -> None:
    """Fonts installed since matplotlib made its list, which it keeps between programs."""
    known = {font.fname for font in fontManager.ttflist}
    for path in set(findSystemFonts()) - known:
        with suppress(RuntimeError, OSError, ValueError):  # it cannot read every kind of font
            fontManager.addfont(path)
