"""Builds the Hugging Face normalizer that brings text to its normal form before tokenizing."""

from __future__ import annotations

import re

from tokenizers import Regex, normalizers

from dragoman.config.options import SideOptions
from dragoman.data.invisible import INVISIBLE
from dragoman.errors import OptionError

_FORMS = {
    "nfc": normalizers.NFC,
    "nfd": normalizers.NFD,
    "nfkc": normalizers.NFKC,
    "nfkd": normalizers.NFKD,
}


def build_normalizer(options: SideOptions) -> normalizers.Normalizer:
    """Build the steps that ``options`` ask for.

    Order: Unicode form, invisible characters, accents, case, spaces around punctuation, characters
    outside ``keep_only``. Last, white space of every kind becomes single spaces, none at the ends.

    Raises:
        OptionError: ``keep_only`` is not the inside of a regular-expression class.
    """
    steps: list[normalizers.Normalizer] = []
    if options.unicode in _FORMS:
        steps.append(_FORMS[options.unicode]())
    steps.append(normalizers.Replace(Regex(f"[{INVISIBLE}]"), ""))
    if options.strip_accents:
        steps += [normalizers.NFD(), normalizers.StripAccents()]
        if options.unicode in ("nfc", "nfkc"):
            steps.append(_FORMS[options.unicode]())
    if options.lowercase:
        steps.append(normalizers.Lowercase())
    for mark in dict.fromkeys(options.space_punctuation):
        steps.append(normalizers.Replace(mark, f" {mark} "))
    if options.keep_only:
        try:
            # Only the inside of one class: more would let an option bring its own expression.
            if not re.fullmatch(r"(?:[^\[\]\\]|\\.)+", options.keep_only, re.DOTALL):
                raise ValueError("brackets within need a backslash")
            re.compile(f"[^{options.keep_only}]")
            outside = Regex(f"[^{options.keep_only}]")
        except Exception as error:  # tokenizers raises plain Exception for its regex engine
            raise OptionError(
                f"{options.keep_only!r} is not a set of characters",
                place="keep_only",
                cure="such as 'a-zA-Z,.!?'",
            ) from error
        steps.append(normalizers.Replace(outside, " "))
    steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    return normalizers.Sequence(steps)
