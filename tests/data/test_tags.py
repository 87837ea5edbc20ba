"""Tags of a source: how they are found, cut off and spelt, and how their pairs are split."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.config.options import Config, SideOptions
from dragoman.config.toml import merge
from dragoman.data.prepare import Prepared, prepare
from dragoman.data.source import encode_pairs
from dragoman.data.tags import Tags, find_tags
from dragoman.data.tokenizer import UNK
from dragoman.data.vocabulary import load_tokenizer, train_tokenizer
from dragoman.errors import DataError
from dragoman.search.reading import read_pieces

STEMS = ["".join(letters) for letters in product("bdgkm", "aeiou", "lnrst", ["a", "o"])]  # 250
BUNDLES = ["V;PRS;SG", "V;PRS;PL", "V;PST;SG", "V;PST;PL", "N;SG", "N;PL"]
FORMS = [
    (stem, bundle, stem + "".join(bundle.split(";")).lower())
    for stem in STEMS
    for bundle in BUNDLES
]
COMMANDS = ["turn left", "turn right", "walk left", "walk right", "walk twice", "jump"]
WORDS = ["one", "two", "red", "blue", "house", "tree", "sees", "finds", "small", "old"]
SENTENCES = [" ".join(words) for words in product(WORDS, WORDS, WORDS)]
DATES = [
    f"{day} {month} {year}"
    for day in range(1, 29)
    for month in ("May", "June", "July")
    for year in range(1950, 1970)
]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([f"{tags} {word}" for word, tags, _ in FORMS], "V PRS PST N SG PL"),
        ([f"{tags.replace(';', ' ')} {word}" for word, tags, _ in FORMS], "V PRS PST N SG PL"),
        ([f"{word} {tags.lower()}" for word, tags, _ in FORMS], "v prs pst n sg pl"),
        ([f"{'en' if n % 2 else 'nl'} {word}" for n, word in enumerate(STEMS)], "en nl"),
        ([word for word, _, _ in FORMS], ""),  # words alone
        (COMMANDS * 100, ""),  # as few objects as verbs
        (SENTENCES, ""),  # one set of words in every place
        (DATES, ""),  # numbers are not inflected
        ([f"{STEMS[n % 250]} {STEMS[7 * n % 249]}" for n in range(1000)], ""),  # many names
        ([], ""),
    ],
)
def test_tags_are_few_words_beside_many(sources: list[str], expected: str) -> None:
    assert find_tags(sources).tokens == {f"0 {tag}" for tag in expected.split()}


def test_too_few_lines_show_no_tags() -> None:
    sources = [f"{tags} {word}" for word, tags, _ in FORMS]
    assert not find_tags(sources[::31]) and find_tags(sources[::7])


BESIDE = Tags(["0 V", "0 PST", "0 3", "go"])
APART = Tags(["1 V", "1 PST", "2 en"])


@pytest.mark.parametrize(
    ("source", "tags", "words"),
    [
        ("V;PST;3 go out", "V PST 3", "go out"),
        ("  V  PST;3  go ", "V PST 3", "go"),
        ("go out V;PST", "V PST", "go out"),
        ("V;PST V", "V PST", "V"),  # one word stays
        ("V", "", "V"),
        ("V go PST", "V", "go PST"),  # the one side or the other
        ("V;NEW go", "", "V;NEW go"),
        ("", "", ""),
    ],
)
def test_tags_beside_the_words(source: str, tags: str, words: str) -> None:
    cut = BESIDE.cut(source)
    assert cut.tags == [f"0 {tag}" for tag in tags.split()]
    assert [source[slice(*span)] for span in cut.spans] == tags.split()
    assert source[cut.start : cut.end] == words


def test_tags_in_columns() -> None:
    cut = APART.cut("go out\tV; PST\ten")
    assert cut.tags == ["1 V", "1 PST", "2 en"] and (cut.start, cut.end) == (0, 6)
    assert ["go out\tV; PST\ten"[slice(*span)] for span in cut.spans] == ["V", "PST", "en"]
    assert APART.cut(" ").tags == []  # a blank line has a blank answer


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("go", "has 0 columns of features, 2 expected .put a tab before each"),
        ("go\tV\ten\tfr", "has 3 columns of features, 2 expected"),
        ("go\tV;PTS\ten", "the tag 'PTS' of .* is not one that training saw .did you mean 'PST'"),
        ("go\tV\tPST", "the tag 'PST' of .* did you mean|choices: en"),  # of the other column
        ("go\t ;\ten", "column 1 of .* is empty"),
    ],
)
def test_columns_that_the_model_does_not_know(source: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        APART.cut(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("V;PTS go", "the tag 'PTS' of 'V;PTS go' is not one that training saw .did you mean"),
        ("go NEW;V", "the tag 'NEW' of 'go NEW;V'"),
        ("PTS go", "'PTS go' has no tag that training saw .such as 3, PST, V"),
        ("V;PST;3 go out", ""),
        ("V;PST V", ""),
        ("go;on", ""),
        ("go", ""),
        (" ", ""),
    ],
)
def test_unknown_tags_beside_the_words_are_told(source: str, message: str) -> None:
    if message:
        with pytest.raises(DataError, match=message):
            BESIDE.check(source)
    else:
        BESIDE.check(source)
    Tags(["0 <bt>"]).check(source)  # sentences, of which some were made by a model


@given(st.text("VPST3go; ", max_size=20))
def test_tags_and_words_are_the_whole_source(source: str) -> None:
    cut = BESIDE.cut(source)
    inside = range(cut.start, cut.end)
    spans = [set(range(*span)) for span in cut.spans]
    assert not any(span & set(inside) for span in spans)
    left = set(range(len(source))) - set(inside) - set().union(*spans)
    assert {source[place] for place in left} <= {" ", ";"}
    assert bool(source.strip()) == bool(BESIDE.words(source).strip())


@pytest.mark.parametrize("level", ["char", "word", "bpe", "unigram"])
def test_a_tag_is_one_token_at_every_level(tmp_path: Path, level: Any) -> None:
    tags = ["1 PST", "1 V"]
    options = SideOptions(level=level, vocabulary=300, byte_fallback=True, lowercase=True)
    texts = [" ".join(STEMS[n : n + 3]) for n in range(0, 240, 3)]
    learned = train_tokenizer(texts, options, tags=tags)
    (tmp_path / "source.json").write_text(learned.json)
    tokenizer = load_tokenizer(tmp_path / "source.json", options)
    source = f"{texts[1].upper()} \tV;PST"
    (ids,) = tokenizer.encode([source])
    assert tokenizer.tokens(ids)[:2] == ["V", "PST"]
    assert tokenizer.decode(ids[2:]) == texts[1]
    assert tokenizer.decode(ids) == tokenizer.normalize(source) == f"V PST {texts[1]}"
    assert len(tokenizer.spans(source)) == len(ids) and tokenizer.spans(source)[0] == (16, 17)
    if level in ("char", "word"):
        assert tokenizer.pieces(source)[:2] == ["1 V", "1 PST"]
        assert len(tokenizer.pieces(source)) == len(ids)
    assert tokenizer.encode(["\u200b\tV"])[0].tolist() == []  # nothing is left of the words


def test_tags_are_not_copied() -> None:
    side = SideOptions(level="char", vocabulary=50)
    source, target = train_tokenizer(STEMS, side, tags=["1 V"]), train_tokenizer(["bad"], side)
    ((read, _),) = encode_pairs([("bol\tV", "bo")], (source, target), copy=True)
    assert read.copies[0] == UNK and len(read.copies) == len(read) + 1
    assert read.copies[2] == len(target)  # "o", the first letter that the target lacks


@pytest.mark.parametrize("long", ["split", "truncate"])
def test_every_part_of_a_long_line_has_its_tags(long: str) -> None:
    tokenizer = train_tokenizer(STEMS, SideOptions(level="char", vocabulary=50), tags=["1 V"])
    pieces = read_pieces(["balabela\tV"], [tokenizer], None, 4, long)
    words = ["bal", "abe", "la"] if long == "split" else ["bal"]
    assert [piece.text for piece in pieces] == [f"{word}\tV" for word in words]
    assert {len(piece.sources[0].ids) for piece in pieces} <= {3, 4}


def prepared(folder: Path, pairs: list[tuple[str, str]], said: list[str], **tree: Any) -> Prepared:
    folder.mkdir()
    file = folder / "pairs.tsv"
    file.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")
    return prepare([file], folder, merge(Config(), tree, place="test"), said.append)


def stems_of(found: Prepared) -> tuple[set[str], set[str]]:
    """The words that training and validation know."""
    rows = range(len(found.train))
    train = {found.source.decode(found.train.pair(row)[0].ids) for row in rows}
    held_out = {source for source, _ in found.validation.texts()}
    tags = found.source.tags

    def words(texts: set[str]) -> set[str]:
        return {text[slice(*tags.cut(text)[2:])] for text in texts}

    return words(train), words(held_out)


@pytest.mark.parametrize("order", ["{tags} {word}", "{word} {tags}"])
def test_no_word_is_on_both_sides_where_sources_have_tags(tmp_path: Path, order: str) -> None:
    pairs = [(order.format(tags=tags, word=word), form) for word, tags, form in FORMS]
    found = prepared(tmp_path / "p", pairs, said := [])
    how = "pairs are held out by the words beside them; scores on few words are rough"
    assert f"sources have tags (N, PL, PRS ...): {how}" in said
    train, held_out = stems_of(found)
    assert train | held_out == set(STEMS) and not train & held_out
    assert len(found.validation) == len(FORMS) // 10
    assert (found.config.source.level, found.config.target.level) == ("char", "char")
    assert found.source.tags.tokens == {f"0 {tag}" for tag in ("V", "PRS", "PST", "N", "SG", "PL")}


def test_whole_words_are_held_out_by_line(tmp_path: Path) -> None:
    pairs = [(f"{tags} {word}", form) for word, tags, form in FORMS]
    found = prepared(tmp_path / "p", pairs, said := [], source={"level": "word"})
    train, held_out = stems_of(found)
    both = {text.split()[-1] for text in train} & {text.split()[-1] for text in held_out}
    assert both and not found.source.tags and not any("tags" in line for line in said)
