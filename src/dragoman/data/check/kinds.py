"""Every kind of oddity: how bad it is, what it means, and what ``--fix`` does about it."""

from typing import Literal, NamedTuple

from dragoman.data.check.report import Severity


class Kind(NamedTuple):
    """What is said of a kind, and what becomes of a pair that has it."""

    severity: Severity
    meaning: str
    fix: Literal["", "remove", "swap", "clean"] = ""
    """Nothing; it is left out; its sides change places; its text is cleaned."""


KINDS = {
    "test pairs": Kind("problem", "are in the test as well", "remove"),
    "test sources": Kind("problem", "have a source of the test", "remove"),
    "test targets": Kind("note", "have a target of the test"),
    "duplicates": Kind("warning", "repeat an earlier pair", "remove"),
    "untranslated": Kind("warning", "source and target are the same", "remove"),
    "swapped sides": Kind("warning", "the source reads like a target, and vice versa", "swap"),
    "shifted lines": Kind("warning", "the targets of other lines", "remove"),
    "length ratio": Kind("warning", "one side unusually long for the other; misaligned?", "remove"),
    "lost characters": Kind("warning", "in the place of others that are lost", "remove"),
    "wordless": Kind("warning", "one side has no letter and no digit", "remove"),
    "broken encoding": Kind("warning", "decoded wrongly once", "clean"),
    "invisible characters": Kind("warning", "easily missed", "clean"),
    "look-alike letters": Kind("warning", "of another script than the rest of the word", "clean"),
    "decomposed letters": Kind("warning", "not in Unicode's form NFC", "clean"),
    "line ends inside": Kind("warning", "tabs or line ends in a text, read as spaces", "clean"),
    "byte order marks": Kind("warning", "U+FEFF, which has no use inside a text", "clean"),
    "entities": Kind("warning", "HTML's names for characters", "clean"),
    "loose spaces": Kind("note", "at an end of a text", "clean"),
    "double spaces": Kind("note", "two or more together"),
    "mixed scripts": Kind("warning", "two scripts in one word"),
    "markup": Kind("warning", "tags of HTML or a wiki"),
    "addresses": Kind("note", "of the web or of mail"),
    "unusual spaces": Kind("note", "not U+0020"),
    "private characters": Kind("note", "of no script that others know; a font's own?"),
    "different digits": Kind("note", "the two sides do not have the same digits"),
}
ALWAYS = ("line ends inside", "byte order marks")
"""Kinds that are fixed however many pairs have them: else the file would not read back alike."""
