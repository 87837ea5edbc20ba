"""Text to ids and back, at every level."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.config.options import Config, SideOptions
from dragoman.config.toml import merge
from dragoman.data.invisible import sentence_key
from dragoman.data.prepare import prepare
from dragoman.data.samples import sample_pairs
from dragoman.data.text import TextStatistics
from dragoman.data.tokenizer import BOS, EOS, PAD, SPECIAL, UNK, Tokenizer
from dragoman.data.vocabularies import choose_level, choose_spelling
from dragoman.data.vocabulary import load_tokenizer, train_tokenizer
from dragoman.errors import DataError, FolderError, OptionError

TEXT = [
    "L'été dernier, j'ai vu 12,5 km de côtes !",
    "« Où va-t-il ? » demanda-t-elle (en riant).",
    "Il a payé 3 000 € — c'est trop... non ?",
    'naïve œuvre, straße: 100% "sûr"; C++ & co. <s> </s> <unk>',
] * 3
LEVELS = ["word", "char", "bpe", "unigram"]


def counted(texts: list[str]) -> TextStatistics:
    """What is counted of the training text of one side."""
    statistics = TextStatistics()
    statistics.add(texts)
    return statistics


def tokenizer(text: list[str] = TEXT, **options: object) -> Tokenizer:
    base = SideOptions(level="word", vocabulary=400)
    return train_tokenizer(text, replace(base, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("level", LEVELS)
def test_known_text_comes_back_as_it_was(level: str) -> None:
    one = tokenizer(level=level)
    for text, ids in zip(TEXT, one.encode(TEXT), strict=True):
        assert one.decode(ids) == text
        assert UNK not in ids and PAD not in ids and BOS not in ids and EOS not in ids


@pytest.mark.parametrize("level", LEVELS)
@settings(deadline=None, max_examples=60)
@given(text=st.text(alphabet="Lété dn,'ai12.?!-€\u00a0\t\u202f\u2028", max_size=40))
def test_text_of_known_characters_comes_back_normalised(level: str, text: str) -> None:
    one = _CACHED.setdefault(
        level, tokenizer([*TEXT, "L é t e d n a i 1 2 . ? ! - ' , €"], level=level)
    )
    (ids,) = one.encode([text])
    if UNK not in ids:
        assert one.decode(ids) == one.normalize(text)
    assert one.normalize(text) == " ".join(text.split())


_CACHED: dict[str, Tokenizer] = {}


@pytest.mark.parametrize("level", LEVELS)
def test_special_tokens_in_text_are_text(level: str) -> None:
    one = tokenizer(["a b <c>"], level=level)
    for special in SPECIAL:
        (ids,) = one.encode([f"a {special} b"])
        assert not {PAD, BOS, EOS} & set(ids.tolist())


@pytest.mark.parametrize("level", ["word", "bpe", "unigram", "char"])
def test_what_was_never_seen_is_unknown(level: str) -> None:
    one = tokenizer(level=level)
    (ids,) = one.encode(["漢 j'ai"])
    assert ids.tolist().count(UNK) == 1
    assert "<unk>" in one.decode(ids) and "j'ai" in one.decode(ids)


PRINTABLE = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="▁")


@pytest.mark.slow
@pytest.mark.parametrize("level", ["bpe", "unigram"])
@settings(deadline=None, max_examples=200)
@given(text=st.text(alphabet=PRINTABLE, max_size=30) | st.text(alphabet="été 🙂漢क्षि<0xF0>12"))
def test_with_bytes_any_text_comes_back(level: str, text: str) -> None:
    one = _CACHED.setdefault(level + "+", tokenizer(level=level, byte_fallback=True))
    (ids,) = one.encode([text])
    assert UNK not in ids
    assert one.decode(ids) == one.normalize(text)
    ends = [span[1] for span in one.spans(text)]
    assert len(ends) == len(ids) and ends == sorted(ends)
    assert all(start <= end <= len(text) for start, end in one.spans(text))


@pytest.mark.parametrize("level", ["bpe", "unigram"])
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_any_bytes_say_something_harmless(level: str, data: st.DataObject) -> None:
    one = _CACHED.setdefault(level + "+", tokenizer(level=level, byte_fallback=True))
    ids = data.draw(st.lists(st.integers(4, len(one) - 1), max_size=20))
    text = one.decode(ids)
    assert "".join(text.splitlines()) == text
    assert text.encode().decode() == text  # no lone surrogate


def test_broken_bytes_are_replaced() -> None:
    one = tokenizer(level="bpe", byte_fallback=True)
    assert one.join(["▁j", "<0xF0>", "<0x9F>", "▁j"]) == "j\ufffd\ufffd j"
    said = one.join(["▁j", "<0xC2>", "<0x85>", "<0xE2>", "<0x80>", "<0xA8>", "j"])
    assert said == "j\ufffd\ufffdj"
    assert one.join(["▁j", "<0x0A>", "<0x1B>"]) == "j\ufffd\ufffd"  # of a foreign file
    assert one.decode(one.encode(["a\x1b[31m"])[0]) == "a<unk>[31m"


def test_a_literal_byte_token_is_text() -> None:
    for level in ("bpe", "unigram"):
        one = tokenizer(level=level, byte_fallback=True)
        assert one.decode(one.encode(["j'ai <0x41> </s>"])[0]) == "j'ai <0x41> </s>"


def test_a_span_of_bytes_is_a_character() -> None:
    for level in ("bpe", "unigram"):
        one = tokenizer(level=level, byte_fallback=True)
        assert one.spans("漢字 j'ai")[1:7] == [(0, 1)] * 3 + [(1, 2)] * 3


def test_a_byte_goes_on_with_a_word() -> None:
    one = tokenizer(level="bpe", byte_fallback=True)
    byte = one.token_id("<0x71>")
    assert byte is not None and one.starts is not None and byte not in one.starts
    assert one.texts[byte] == "q" and one.texts[byte + 128].startswith("<0x")


@pytest.mark.parametrize(
    ("options", "size", "on"),
    [
        ({"level": "bpe"}, 722, True),
        ({"level": "bpe", "byte_fallback": False}, 500, False),
        ({"level": "unigram", "vocabulary": 999}, 999, False),
        ({"level": "unigram", "vocabulary": 1000}, 1000, True),
        ({"level": "unigram", "vocabulary": 300, "byte_fallback": True}, 300, True),
        ({"level": "word"}, 50_000, False),
        ({"level": "char", "byte_fallback": True}, 50_000, False),
    ],
)
def test_when_there_are_bytes(options: dict[str, object], size: int, on: bool) -> None:
    asked = replace(SideOptions(), **options)  # type: ignore[arg-type]
    chosen = choose_level(asked, counted(TEXT))
    assert (chosen.vocabulary, chosen.byte_fallback) == (size, on)


def test_there_are_bytes_when_level_and_size_are_given(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("".join(f"a{i}\tb{i}\n" for i in range(40)), "utf-8")
    side = {"level": "bpe", "vocabulary": 1000}
    asked = merge(Config(), {"source": side, "target": side}, place="test")
    found = prepare([tmp_path / "pairs.tsv"], tmp_path, asked, print)
    assert found.config.source.byte_fallback is True and found.config.target.byte_fallback is True
    (ids,) = found.source.encode(["\N{SNOWMAN}"])
    assert found.source.decode(ids) == "\N{SNOWMAN}"


def test_bytes_need_room() -> None:
    few = SideOptions(level="bpe", vocabulary=226, byte_fallback=True)
    with pytest.raises(OptionError, match="^target.vocabulary: 226 tokens leave none to learn"):
        train_tokenizer(["a b"], few, "target")


def test_word_tokens_carry_the_space_before_them() -> None:
    one = tokenizer()
    (ids,) = one.encode(["j'ai vu, non ?"])
    assert one.tokens(ids) == ["▁j", "'", "ai", "▁vu", ",", "▁non", "▁?"]


def test_words_split_at_white_space_only() -> None:
    one = tokenizer(split_punctuation=False)
    (ids,) = one.encode(["L'été dernier, nope"])
    assert one.tokens(ids) == ["L'été", "dernier,", "<unk>"]
    assert one.decode(ids[:2]) == "L'été dernier,"


def test_digits_are_single_below_word_level() -> None:
    one = tokenizer(["1987 1987 1987"], level="bpe")
    assert one.tokens(one.encode(["1987"])[0]) == ["▁", "1", "9", "8", "7"]


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ({}, "e\u0301te\u0301  \u00a0\u202f là\u200b\u00ad", "été là"),
        ({"unicode": "nfd"}, "é", "e\u0301"),
        ({"unicode": "nfkc"}, "ﬁn №", "fin No"),
        ({"lowercase": True}, "ÉTÉ Straße", "été straße"),
        ({"strip_accents": True}, "Où êtes-vous, naïf ñ ç", "Ou etes-vous, naif n c"),
        ({"space_punctuation": ",.!?"}, "Oui,non.Si?", "Oui , non . Si ?"),
        ({"keep_only": "a-zA-Z,.!?"}, "L'été: 3 fois!", "L t fois!"),
        (
            {
                "unicode": "nfd",
                "strip_accents": True,
                "lowercase": True,
                "space_punctuation": ",.!?",
                "keep_only": "a-zA-Z,.!?",
            },
            "Où est-elle, là ?",
            "ou est elle , la ?",
        ),
        ({"unicode": "none"}, "e\u0301", "e\u0301"),
        ({"keep_invisible": "U+200B"}, "ខ\u200bគ\u00ad\ufeff\u200b", "ខ\u200bគ\u200b"),
        ({"keep_invisible": "U+00AD U+200F"}, "sy\u00adl\u200bla\u200f", "sy\u00adlla\u200f"),
        # a folder older than the option has "auto" there
        ({"keep_invisible": "auto"}, "ខ\u200bគ", "ខគ"),
        ({"lowercase": True, "casing": "auto"}, "ΟΔΟΣ IŞIK", "οδοσ işik"),
        (
            {"lowercase": True, "casing": "greek"},
            "Ο ΔΡΟΜΟΣ ΣΑΣ, Σ’ ΑΓΑΠΩ",
            "ο δρομος σας, σ’ αγαπω",
        ),
        ({"lowercase": True, "casing": "turkish"}, "IŞIK, İZMİR", "ışık, izmir"),
        (
            {"lowercase": True, "casing": "turkish", "unicode": "nfd"},
            "IS\u0327IK İ",
            "ıs\u0327ık i",
        ),
        ({"lowercase": True, "casing": "lithuanian"}, "Ì Í Ĩ ė", "i̇̀ i̇́ i̇̃ ė"),
        ({"casing": "turkish"}, "IŞIK", "IŞIK"),
    ],
    ids=str,
)
def test_normalisation(options: dict[str, object], text: str, expected: str) -> None:
    assert tokenizer(**options).normalize(text) == expected


def test_keep_only_must_be_a_set_of_characters() -> None:
    with pytest.raises(OptionError, match=r"keep_only: 'z-a' is not a set of characters"):
        tokenizer(keep_only="z-a")


def test_keep_invisible_must_be_code_points() -> None:
    with pytest.raises(OptionError, match=r"keep_invisible: '\[a' does not consist of code points"):
        tokenizer(keep_invisible="[a")


@pytest.mark.parametrize(
    ("text", "kept", "casing"),
    [
        (["ខ្ញុំ\u200bស្រឡាញ់"] * 6 + ["នេះ"] * 94, "U+200B", "plain"),
        (["ខ្ញុំ\u200bស្រឡាញ់"] * 4 + ["នេះ"] * 96, "", "plain"),
        (["sy\u00adlla\u00adble\u200e\ufeff"] * 9, "U+00AD U+200E", "plain"),
        (["ışık", "deniz"], "", "turkish"),
        (["οδός", "και"], "", "greek"),
        (["lėi̇̀", "gė"], "", "lithuanian"),
        (["straße", "İ" + "x"] + ["y"] * 60, "", "plain"),
    ],
)
def test_what_recurs_is_how_a_language_is_spelt(text: list[str], kept: str, casing: str) -> None:
    chosen = choose_spelling(SideOptions(), counted(text), counted(text))
    assert (chosen.keep_invisible, chosen.casing, chosen.unicode) == (kept, casing, "nfc")
    asked = SideOptions(keep_invisible="", casing="plain", unicode="none")
    assert choose_spelling(asked, counted(text), counted(text)) == asked


@pytest.mark.parametrize(
    ("options", "target", "form"),
    [
        ({"level": "char"}, ["k a d a"], "nfd"),
        ({"level": "word"}, ["k a d a"], "nfc"),
        ({"level": "char"}, ["가다"], "nfc"),
        ({"level": "char", "keep_only": "가-힣"}, ["k a d a"], "nfc"),
        ({"level": "char", "unicode": "nfkc"}, ["k a d a"], "nfkc"),
    ],
)
def test_korean_is_spelt_by_letters_for_targets_of_other_scripts(
    options: dict[str, Any], target: list[str], form: str
) -> None:
    korean = counted(["가다", "순", "ㅋㅋ", "강"])
    assert choose_spelling(SideOptions(**options), korean, counted(target)).unicode == form


def test_a_model_writes_what_ends_words_without_ink_and_says_what_is_dropped(
    tmp_path: Path,
) -> None:
    words = ["ខ្ញុំ", "ទឹក", "ស្រឡាញ់"]
    rows = [(a + b + str(n), f"{a}\u200b{b}{n}") for n in range(20) for a in words for b in words]
    rows[3] = rows[3][0] + "\u00ad", rows[3][1]
    text = "".join(f"{source}\t{target}\n" for source, target in rows)
    (tmp_path / "pairs.tsv").write_text(text, encoding="utf-8")
    said: list[str] = []
    tree = {"source": {"strip_accents": True, "level": "char"}}
    found = prepare(
        [tmp_path / "pairs.tsv"], tmp_path, merge(Config(), tree, place="test"), said.append
    )
    (ids,) = found.target.encode([rows[0][1]])
    assert found.target.decode(ids) == rows[0][1]
    assert found.config.target.keep_invisible == "U+200B"
    assert {
        "source.keep_invisible: U+00AD is dropped (in 1 of 162 texts)",
        "source.strip_accents: takes signs away that are no accents in their scripts: "
        "U+17B9, U+17BB, U+17C6, U+17CB, U+17D2",
    } <= set(said)


def test_a_unigram_vocabulary_of_automatic_size_holds_every_character() -> None:
    text = [chr(0x4E00 + 3 * n) + chr(0x6001 + n) for n in range(700)]
    chosen = choose_level(SideOptions(level="unigram"), counted(text))
    assert chosen.vocabulary == 1400 + 500 + 222
    assert len(train_tokenizer(text, chosen)) > 1400
    with pytest.raises(
        OptionError, match="no unigram vocabulary of 900 can be learned: .*all chars"
    ):
        train_tokenizer(text, replace(chosen, vocabulary=900))


def test_rare_words_are_left_out() -> None:
    one = tokenizer(["a a a b b c"], min_count=2)
    assert one.tokens(one.encode(["a b c"])[0]) == ["▁a", "▁b", "<unk>"]
    assert len(one) == 6


def test_a_vocabulary_has_its_size() -> None:
    assert len(tokenizer(vocabulary=10)) == 10
    assert len(tokenizer(level="bpe", vocabulary=80)) == 80


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="no token is left to learn from"):
        tokenizer(["a b c"], min_count=5)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (["banana", "cherry", "date"] * 400, "char"),
        ([f"walk {i % 7} times and turn left" for i in range(3000)], "word"),
        ([f"w{i} x{i + 1} y{2 * i}" for i in range(3000)], "bpe"),
        (["what is the color of banana", "what makes up water molecules"], "word"),
    ],
)
def test_the_level_suits_the_text(text: list[str], level: str) -> None:
    chosen = choose_level(SideOptions(), counted(text))
    assert chosen.level == level
    assert isinstance(chosen.vocabulary, int)


def test_choices_of_the_user_stand() -> None:
    asked = SideOptions(level="unigram", vocabulary=77, byte_fallback=False)
    assert choose_level(asked, counted(["a"])) == asked


@pytest.mark.parametrize("byte_fallback", [False, True])
@pytest.mark.parametrize("level", ["bpe", "unigram"])
def test_a_saved_tokenizer_is_the_same(tmp_path: Path, level: str, byte_fallback: bool) -> None:
    one = tokenizer(level=level, byte_fallback=byte_fallback)
    path = tmp_path / "source.json"
    path.write_text(one.json, encoding="utf-8")
    other = load_tokenizer(
        path, SideOptions(level=cast(Any, level), vocabulary=9, byte_fallback=byte_fallback)
    )
    assert other.digest == one.digest
    assert other.encode(TEXT)[1].tolist() == one.encode(TEXT)[1].tolist()
    tree = json.loads(path.read_text("utf-8"))
    assert tree["model"]["type"].lower() == level
    assert tree["model"]["byte_fallback"] is byte_fallback


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a tokenizer"),
        ("{}", "is not a tokenizer"),
        ('{"version":', "is not a"),
        (None, "is not a tokenizer: .*No such file"),
    ],
)
def test_a_damaged_tokenizer(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "source.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FolderError, match=message):
        load_tokenizer(path, SideOptions(level="word"))


def test_a_foreign_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "source.json"
    tree = json.loads(tokenizer().json)
    tree["model"]["vocab"]["[PAD]"] = tree["model"]["vocab"].pop("<pad>")
    path.write_text(json.dumps(tree))
    with pytest.raises(FolderError, match="its first tokens are not <pad> <unk> <s> </s>"):
        load_tokenizer(path, SideOptions(level="word"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Tom's here!", "tom s HERE", True),
        ("I'm\u00a0in.", "I’m in", True),
        ("été", "e\u0301te\u0301", True),
        ("go", "goo", False),
        ("!", "?", False),
        ("12", "1 2", False),
    ],
)
def test_sentence_keys(one: str, other: str, same: bool) -> None:
    assert (sentence_key(one) == sentence_key(other)) is same


@pytest.mark.parametrize("level", LEVELS)
def test_a_lone_surrogate_reads_as_the_replacement_character(level: str) -> None:
    one = tokenizer(level=level)
    broken, clean = "a\udce9 b", "a\ufffd b"
    assert one.normalize(broken) == one.normalize(clean)
    assert one.pieces(broken) == one.pieces(clean)
    assert one.spans(broken) == one.spans(clean)
    assert one.encode([broken])[0].tolist() == one.encode([clean])[0].tolist()


def test_the_same_text_gives_the_same_unigram_vocabulary() -> None:
    """The library's order of pieces with equal scores is another one at every call."""
    texts = [pair.source for pair in sample_pairs("phrases", count=500)]
    options = SideOptions(level="unigram", vocabulary=400, byte_fallback=False)
    assert len({train_tokenizer(texts, options).digest for _ in range(4)}) == 1
