"""Every pair of settings of search, request and model together: each is well tested alone."""

from __future__ import annotations

import itertools
import json
import random
import re
from typing import Any

import pytest

from dragoman.cli.translate import to_json
from dragoman.config.options import SearchOptions
from dragoman.documents.blocks import Block, filled, read_blocks
from dragoman.documents.formats import FORMATS
from dragoman.search.aids import Aids, Memory, Terms
from dragoman.search.keep import pattern_of
from dragoman.search.request import Request
from dragoman.search.tags import MARK
from tiny_translator import translator

Case = dict[str, Any]

SETTINGS: dict[str, tuple[Any, ...]] = {
    "level": ("word", "char", "bpe"),
    "copy": (False, True),
    "members": (1, 2),
    "attention": ("luong", "bahdanau", "monotonic", "none"),
    "library": ("torch", "fp32", "int8"),
    "beam": (1, 3),
    "n_best": (1, 3),
    "temperature": (0.0, 1.0),
    "top_k": (0, 2),
    "no_repeat": (0, 1, 2),
    "min_ratio": (0.0, 1.5),
    "max_ratio": (0.0, 2.0),
    "normalization": ("average", "wu"),
    "coverage_penalty": (0.0, 0.3),
    "diversity": (0.0, 0.5),
    "unknown": ("copy", "drop", "keep"),
    "long": ("split", "truncate"),
    "batch_size": ("auto", 2),
    "prefix": ("", "the cat", "the ", " ".join(["the cat"] * 12)),
    "must": ((), ("dog",), ("category", "the cat")),
    "never": ((), ("sat",), ("zebra", "cats")),
    "memory": ((), (("dog", "the cat"),)),
    "terms": ((), (("gnu", ("mat", "a mat")),)),
    "keep": (None, "usual"),
    "document": (False, True),
}
LINES = [
    "the cat sat on a mat .",
    "zebra dog",
    "a category of zebra and gnu cats",
    "dog",
    "",
    "x " * 15,
    "a {0} gnu " * 5 + "at www.a.example",
]


def valid(case: Case) -> bool:
    """What the options themselves do not refuse; unset settings are no hindrance."""
    get = case.get
    return not (
        (get("copy") and (get("level") == "bpe" or get("attention") in ("none", "monotonic")))
        or (get("temperature") == 0 and get("top_k"))
        or (get("temperature") == 0 and get("n_best", 0) > get("beam", 9))
        or ((get("must") or get("terms")) and (get("temperature") == 1 or get("top_k")))
        or ((get("must") or get("terms")) and get("n_best", 0) > get("beam", 9))
        or ((get("keep") or get("document")) and get("attention") == "none")
        or (get("min_ratio", 0) > get("max_ratio", 9))
    )


def cover() -> list[Case]:
    """Cases that together hold every pair of settings that is allowed, chosen greedily."""
    draw = random.Random(1)
    names = list(SETTINGS)
    missing = {
        frozenset({(a, x), (b, y)})
        for a, b in itertools.combinations(names, 2)
        for x in SETTINGS[a]
        for y in SETTINGS[b]
        if valid({a: x, b: y})
    }
    cases: list[Case] = []
    while missing:
        best: Case = {}
        first = sorted(map(sorted, missing), key=repr)[0]
        for _ in range(12):
            case: Case = dict(first)
            for name in draw.sample(names, len(names)):
                options = [x for x in SETTINGS[name] if valid({**case, name: x})]
                if name not in case:
                    case[name] = max(
                        draw.sample(options, len(options)),
                        key=lambda x: sum(
                            frozenset({(name, x), o}) in missing for o in case.items()
                        ),
                    )
            if len(pairs_of(case) & missing) > len(pairs_of(best) & missing):
                best = case
        missing -= pairs_of(best)
        cases.append(best)
    return cases


def pairs_of(case: Case) -> set[frozenset[tuple[str, Any]]]:
    return {frozenset(pair) for pair in itertools.combinations(case.items(), 2)}


def words(text: str) -> list[str]:
    return re.findall(r"\w+|<[^>]*>", text)


def paragraph(line: str) -> str:
    """A paragraph of HTML with a line, of which some words stand in tags."""
    first, *others = line.split() or [""]
    inside = f" <b>{others[0]} <i>{' '.join(others[1:3])}</i></b> " if others else ""
    return f"<p>{first}{inside}{' '.join(others[3:])}</p>\n"


CASES = cover()


def test_every_allowed_pair_is_there() -> None:
    held = set().union(*map(pairs_of, CASES))
    for a, b in itertools.combinations(SETTINGS, 2):
        for x, y in itertools.product(SETTINGS[a], SETTINGS[b]):
            assert frozenset({(a, x), (b, y)}) in held or not valid({a: x, b: y}), (a, x, b, y)
    assert all(map(valid, CASES)) and len(CASES) < 60


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['level']}-{case['attention']}")
def test_settings_work_together(case: Case) -> None:
    case = dict(case)
    model = {name: case.pop(name) for name in ("copy", "members", "attention", "library")}
    level = case.pop("level")
    asked = {name: case.pop(name) for name in ("prefix", "must", "never")}
    memory, terms, keep = (case.pop(name) for name in ("memory", "terms", "keep"))
    pattern, document = pattern_of([keep] if keep else []), case.pop("document")
    memory = dict(memory)
    aids = Aids(Memory(memory.items()), Terms(dict(terms)), pattern)
    one, options = translator(level, longest=12, **model), SearchOptions(**case)
    one = one.with_aids(aids)
    lines, blocks = LINES, list[Block]()
    if document:
        pytest.importorskip("sentencex", reason="needs dragoman[documents]")
        blocks = list(read_blocks(map(paragraph, LINES), FORMATS["html"], "en"))
        lines = [sentence for block in blocks for sentence in block.sentences]
        pattern = pattern or MARK
    requests = [Request(line, **asked) for line in lines]
    answers = list(one.translate(requests, options, attention=True))
    for request, answer in zip(requests, answers, strict=True):
        fields = json.loads(to_json(answer, None, None), parse_constant=pytest.fail)
        if request.source in memory:
            assert (answer.text, fields["from"]) == (memory[request.source], "memory")
            continue
        assert "from" not in fields
        assert fields["score"] is not None
        assert len({*answer.texts}) == len(answer.texts) <= options.n_best
        assert bool(answer.texts) == bool(request.source)
        alone = next(one.translate([request], options, attention=True))
        assert [(h.ids, h.score) for h in alone.hypotheses] == [
            (h.ids, h.score) for h in answer.hypotheses
        ]
        for text in answer.texts:
            assert text.startswith(asked["prefix"].strip())
            assert not {"<pad>", "<s>", "</s>"} & {*words(text)}
            assert options.unknown == "keep" or "<unk>" not in text
            if asked["never"]:
                assert not {*asked["never"]} & {*words(text)} - {*words(asked["prefix"])}
        if pattern:
            found = pattern.findall(answer.text.replace("<unk>", ""))
            wanted = pattern.findall(request.source)
            assert found == wanted or (document and sorted(found) == sorted(wanted))
        if answer.texts:
            said = answer.text
            if pattern:  # what is kept may stand between two words
                said = re.sub(" +", " ", pattern.sub("", said))
            if "gnu" in request.source and terms and options.long == "split":
                assert "mat" in said
            lacking = [text for text in asked["must"] if text not in said]
            assert {*lacking} <= {*answer.unmet}
            assert not answer.unmet, "there is room for all of it"
    if document:
        page = "".join(filled(blocks, (answer.text for answer in answers)))
        tags = re.compile(r"</?\w+>").findall
        for was, now in zip(map(paragraph, LINES), page.splitlines(), strict=True):
            assert sorted(tags(now)) == sorted(tags(was)), (was, now)
            assert tags(now) in ([], ["<p>", "</p>"], ["<p>", "<b>", "<i>", "</i>", "</b>", "</p>"])
