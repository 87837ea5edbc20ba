"""Text to plainer text: the steps that come before tokenizing, as a Hugging Face normalizer."""

from __future__ import annotations

import re

from tokenizers import Regex, normalizers

from dragoman.config.options import SideOptions
from dragoman.data.invisible import INVISIBLE
from dragoman.data.tokenizer_file import is_one_class
from dragoman.errors import OptionError

_FORMS = {
    "nfc": normalizers.NFC,
    "nfd": normalizers.NFD,
    "nfkc": normalizers.NFKC,
    "nfkd": normalizers.NFKD,
}


def build_normalizer(options: SideOptions) -> normalizers.Normalizer:
    """The steps that ``options`` ask for, in the order in which a reader would do them.

    White space of every kind becomes single spaces; none is left at the ends.

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
            if not is_one_class(options.keep_only):
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
