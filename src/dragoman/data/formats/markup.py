"""TMX and XLIFF (1.2 and 2): translation units in XML, read as a stream.

No entity but XML's own is expanded and no file but the one named is read. Of the tags inside a text
those of formatting go and the text between stays; codes of the original file go.
TMX 1.4b, section 3; XLIFF 1.2, section 2.2; XLIFF 2.1, section 4.2.
"""

import re
from collections.abc import Iterator
from xml.parsers import expat

from dragoman.config.options import DataOptions
from dragoman.data.pairs import Fault, Faults, Record
from dragoman.data.streams import HEAD, Opened, place
from dragoman.errors import DataError

_UNITS = frozenset(("tu", "trans-unit", "segment"))
_TEXTS = frozenset(("seg", "source", "target"))
_SKIPPED = frozenset(("bpt", "ept", "it", "ph", "ut", "alt-trans", "match", "ignorable"))
"""Elements whose text is no part of a unit: codes of the original file, other translations."""
_NOT_BEGUN = frozenset(("new", "needs-translation", "initial"))
"""States of XLIFF in which many programs put a copy of the source where the target will stand."""
_DEEPEST = 100
"""Elements inside each other."""
_LARGEST = 1 << 21
"""Most bytes from the end of a unit to that of the next."""


def recognise(text: str, name: str) -> bool:
    """Whether it is XML. XML without translation units is refused when it is read."""
    is_named = name.endswith((".tmx", ".xlf", ".xliff", ".xml"))
    return is_named or re.match(r"\s*<(\?xml|tmx|xliff)[ >\r\n]", text) is not None


def rows(source: Opened, options: DataOptions, faults: Faults) -> Iterator[Record]:
    """Two languages of each unit; those of XLIFF are called ``source`` and ``target``.

    A target that is still a copy of the source, as its state says, is no translation.

    Raises:
        DataError: it is no well-formed XML, has no unit, or see ``_units``.
    """
    languages = tuple[str, ...](() if options.languages == "auto" else options.languages)
    is_noted, line = False, 0
    for line, state, texts in _units(source):
        if len(texts) > 1 and not is_noted:
            is_noted, languages = True, languages or tuple(texts)[:2]
            kind = "TMX" if "<tmx" in source.text else "XLIFF"
            among = f"of {', '.join(texts)} (--languages to choose)" if len(texts) > 2 else ""
            faults.reads(kind, " and ".join(languages), among)
        found = [text for language in languages for text in _in_language(texts, language)]
        if len(found) == 2 and found[0] == found[1] and state in _NOT_BEGUN:
            yield line, Fault("not translated", f"the source once more, and the state {state!r}")
        elif len(found) == 2:
            yield line, (found[0], found[1])
        else:
            detail = f"no text in {' and '.join(languages) or 'two languages'}"
            detail = f"{detail}, only in {', '.join(texts) or 'none'}"
            yield line, Fault("languages", detail, "try --data.languages")
    if not line:
        cause, cure = "XML without translation units", "TMX and XLIFF can be read"
        raise DataError(cause, place=place(source.path), cure=cure)


def _in_language(texts: dict[str, str], language: str) -> list[str]:
    """The text in ``language``, if there is one; that of ``en-GB`` where ``en`` has none."""
    wanted = re.compile(rf"{re.escape(language)}([-_].*)?", re.IGNORECASE)
    return [texts[name] for name in sorted(texts, key=len) if wanted.fullmatch(name)][:1]


def _units(source: Opened) -> Iterator[tuple[int, str, dict[str, str]]]:
    """The line where each unit begins, the state of its translation, and its texts by language.

    Raises:
        DataError: it is no well-formed XML, has entities of its own, nests deeper than ``_DEEPEST``
            elements, or no unit ends for ``_LARGEST`` bytes.
    """
    ready, path, text = list[tuple[int, str, dict[str, str]]](), list[str](), list[str]()
    line, texts, language, state = 0, dict[str, str](), "", ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal line, texts, language, state
        path.append(name.rpartition(":")[2])
        if len(path) > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} elements inside each other")
        if path[-1] == "tuv":
            language = attributes.get("xml:lang") or attributes.get("lang", "")
        elif path[-1] in _UNITS:
            line, texts, state = parser.CurrentLineNumber, {}, ""
        elif path[-1] in _TEXTS:
            text.clear()
        state = attributes.get("state", state) if _SKIPPED.isdisjoint(path) else state

    def characters(data: str) -> None:
        if _SKIPPED.isdisjoint(path):
            text.append(data)

    def end(name: str) -> None:
        element = path[-1]
        if element in _TEXTS and _SKIPPED.isdisjoint(path):
            whole = "".join(text)
            if "\n" in whole:  # how the file is laid out
                whole = re.sub(r"\s*\n\s*", " ", whole).strip()
            texts.setdefault(language if element == "seg" else element, whole)
        elif element in _UNITS:
            ready.append((line, state, texts))
        path.pop()

    def entity(name: str, *_: object) -> None:
        raise ValueError(f"the entity &{name}; is not one of XML's own")

    # What was recoded is UTF-8, whatever it says itself.
    parser, size, piece = expat.ParserCreate("utf-8" if source.change else None), 0, b" "
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = parser.SkippedEntityHandler = entity
    try:
        while piece:
            piece = source.stream.read1(HEAD)
            parser.Parse(piece, not piece)
            size = 0 if ready else size + len(piece)
            if size > _LARGEST:
                raise ValueError(f"no unit ends for {_LARGEST:,} bytes")
            yield from ready
            ready.clear()
    except (expat.ExpatError, ValueError, LookupError) as error:
        where, cure = place(source.path, parser.CurrentLineNumber), "is it what it seems?"
        raise DataError(f"no XML that is read: {error}", place=where, cure=cure) from error
