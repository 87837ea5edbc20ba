"""From files of pairs to corpora: what is read how often, and what comes from another model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.data.pairs import Pair
from dragoman.data.prepare import Prepared, prepare
from dragoman.data.setup import save_setup
from dragoman.data.text import StoredText
from dragoman.data.tokenizer import UNK
from dragoman.errors import FolderError, OptionError
from dragoman.model.build import build_model
from dragoman.model.folder import save_weights

WORD = {"level": "word", "vocabulary": 500}
FRENCH = [f"le chat {'noir' if n % 2 else 'gris'} dort {n} fois" for n in range(60)]
ENGLISH = [f"the {'black' if n % 2 else 'grey'} cat sleeps {n} times" for n in range(60)]


def prepared(
    folder: Path, tree: dict[str, Any], pairs: list[tuple[str, str]], said: list[str] | None = None
) -> Prepared:
    """What training would read of ``pairs``, with these options."""
    folder.mkdir()
    file = folder / "pairs.tsv"
    file.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")
    config = merge(Config(), tree, place="test")
    return prepare([file], folder, config, (said if said is not None else []).append)


def saved(found: Prepared, folder: Path) -> Path:
    """A model folder with these tokenizers and options, its weights as they begin."""
    sizes = {"embedding": 4, "hidden": 6, "dropout": 0.0}
    config = merge(found.config, {"model": sizes}, place="test")
    folder.mkdir()
    save_setup(folder, config, found.source, found.target)
    torch.manual_seed(1)
    save_weights(folder, build_model(config.model, **found.sizes), found.source, found.target)
    return folder


PAIRS = list(zip(FRENCH, ENGLISH, strict=True))
OTHER = [(target, source) for source, target in PAIRS]


@pytest.mark.parametrize("automatic", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_the_text_is_read_three_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool, automatic: bool
) -> None:
    """The file of pairs once; the stored text once by side and once as pairs."""
    opened, decoded = list[Path](), Counter[str]()
    real_open, real_column, real_pairs = Path.open, StoredText.column, StoredText._pairs

    def counted_open(path: Path, *args: Any, **options: Any) -> Any:
        opened.append(path)
        return real_open(path, *args, **options)

    def counted_column(text: StoredText, name: str, *, training: bool = True) -> Iterator[str]:
        for value in real_column(text, name, training=training):
            decoded[f"{name}, {training}"] += 1
            yield value

    def counted_pairs(text: StoredText, *which: Any) -> Iterator[tuple[int, Pair]]:
        for value in real_pairs(text, *which):
            decoded["pairs"] += 1
            yield value

    monkeypatch.setattr(Path, "open", counted_open)
    monkeypatch.setattr(StoredText, "column", counted_column)
    monkeypatch.setattr(StoredText, "_pairs", counted_pairs)
    side = {} if automatic else {**WORD, "keep_invisible": "", "casing": "plain"}
    tree = {
        "data": {"validation": 5},
        "model": {"shared_embeddings": shared},
        "source": side,
        "target": side,
    }
    found = prepared(tmp_path / "p", tree, PAIRS)
    assert len(found.train) == 55 and len(found.validation) == 5
    read = [path for path in opened if path.name == "pairs.tsv"]
    assert len(read) == 2  # once to write it here
    columns = {"source, True": 55, "target, True": 55, "source, False": 5, "target, False": 5}
    assert decoded == columns | {"pairs": 60}
    assert not (tmp_path / "p" / "corpus" / "text.arrow").exists()


def test_taken_embeddings_keep_the_words_of_their_tokenizer(tmp_path: Path) -> None:
    other = prepared(tmp_path / "other", {"source": WORD, "target": WORD}, PAIRS)
    start = {"start_from": str(saved(other, tmp_path / "m")), "parts": ["encoder"]}
    tree = {"training": start, "source": WORD, "target": WORD}
    found = prepared(tmp_path / "new", tree, [(f"{a} encore", b) for a, b in PAIRS])
    assert found.source.digest == other.source.digest
    assert found.target.digest != other.target.digest or found.target.encode(["cat"]) != []
    (ids,) = found.source.encode(["encore"])
    assert ids.tolist() == [UNK]


@pytest.mark.parametrize("parts", [["encoder"], ["decoder"], ["encoder", "decoder"]])
def test_a_shared_vocabulary_is_taken_whole(tmp_path: Path, parts: list[str]) -> None:
    shared = {"shared_embeddings": True}
    tree: dict[str, Any] = {"source": WORD, "target": WORD, "model": shared}
    other = prepared(tmp_path / "other", tree, PAIRS)
    start = {"start_from": str(saved(other, tmp_path / "m")), "parts": parts}
    found = prepared(tmp_path / "new", tree | {"training": start}, OTHER[:30])
    assert found.source.digest == found.target.digest == other.source.digest


def test_two_vocabularies_cannot_become_a_shared_one(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"source": WORD, "target": WORD}
    folder = saved(prepared(tmp_path / "other", tree, PAIRS), tmp_path / "m")
    tree |= {"model": {"shared_embeddings": True}, "training": {"start_from": str(folder)}}
    with pytest.raises(
        OptionError, match="has two vocabularies .leave out model.shared_embeddings"
    ):
        prepared(tmp_path / "new", tree, PAIRS)


def test_the_options_name_the_level_of_a_taken_tokenizer(tmp_path: Path) -> None:
    side = WORD | {"lowercase": True}
    other = prepared(tmp_path / "other", {"source": side, "target": WORD}, PAIRS)
    start = {"start_from": str(saved(other, tmp_path / "m")), "parts": ["encoder"]}
    tree = {"training": start, "source": {"level": "char", "max_tokens": 7}, "target": WORD}
    found = prepared(tmp_path / "new", tree, PAIRS, said := [])
    taken = found.config.source
    assert (taken.level, taken.lowercase, taken.vocabulary) == ("word", True, 500)
    assert taken.max_tokens == 7  # the limit of this run, not of the other model
    assert f"source.level is 'word', as in {tmp_path / 'm'}: its tokenizer is taken" in said
    automatic = {"training": start, "target": WORD}
    found = prepared(tmp_path / "auto", automatic, PAIRS, said := [])
    assert found.config.source.level == "word" and not any("tokenizer" in line for line in said)


def test_a_model_to_start_from_that_is_not_there(tmp_path: Path) -> None:
    tree = {"training": {"start_from": str(tmp_path / "nosuch")}}
    with pytest.raises(FolderError, match="nosuch: no such folder"):
        prepared(tmp_path / "new", tree, PAIRS)


def test_a_copying_model_gets_a_level_that_it_can_copy_at(tmp_path: Path) -> None:
    pairs = [(f"{a} mot{n} autre{n * 7}", f"{b} word{n}") for n, (a, b) in enumerate(PAIRS * 20)]
    plain = prepared(tmp_path / "plain", {}, pairs)
    assert {plain.config.source.level, plain.config.target.level} == {"bpe"}
    found = prepared(tmp_path / "copying", {"model": {"copy": True}}, pairs)
    assert {found.config.source.level, found.config.target.level} == {"word"}
    letters = prepared(
        tmp_path / "letters", {"model": {"copy": True}}, [(f"mot{n}", f"w{n}") for n in range(50)]
    )
    assert {letters.config.source.level, letters.config.target.level} == {"char"}


def test_a_copying_model_does_not_take_subwords(tmp_path: Path) -> None:
    side = {"level": "bpe", "vocabulary": 60}
    other = prepared(tmp_path / "other", {"source": side, "target": WORD}, PAIRS)
    start = {"start_from": str(saved(other, tmp_path / "m")), "parts": ["encoder"]}
    tree = {"training": start, "target": WORD, "model": {"copy": True}}
    with pytest.raises(OptionError, match="model.copy needs"):
        prepared(tmp_path / "new", tree, PAIRS)


def plural(n: int) -> tuple[str, str]:
    """A word of three letters and its plural, which adds an a."""
    word = "".join(chr(ord("d") + n // 6**k % 6) for k in range(3))
    return word, f"{word}a"


@pytest.mark.parametrize(
    ("kind", "tree", "copies"),
    [
        ("rare letters", {}, True),
        ("rare letters", {"model": {"copy": False}}, False),
        ("rare letters", {"model": {"attention": "none"}}, False),
        ("rare letters", {"model": {"attention": "monotonic"}}, False),
        ("rare letters", {"model": {"output_probabilities": "entmax"}}, False),
        ("rare letters", {"source": {"level": "word"}}, False),
        ("rare letters", {"data": {"validation": 0}}, False),
        ("rare letters", {"data": {"validation_pairs": ("pairs.tsv",)}}, False),
        ("few rare letters", {}, False),
        ("rare letters of the target", {}, False),
        ("no rare letters", {}, False),
        ("no rare letters", {"model": {"copy": True}}, True),
    ],
)
def test_letters_that_training_never_sees_are_copied(
    tmp_path: Path, kind: str, tree: dict[str, Any], copies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [plural(n) for n in range(210)]
    for n in range(0, 210, 140 if kind.startswith("few") else 20):
        rare = chr(0x4E00 + n)  # a Chinese character, of this pair alone
        match kind:
            case "rare letters" | "few rare letters":
                pairs[n] = f"{rare}{pairs[n][0]}", f"{rare}{pairs[n][1]}"
            case "rare letters of the target":
                pairs[n] = pairs[n][0], f"{rare}{pairs[n][1]}"
    monkeypatch.chdir(tmp_path)
    Path("pairs.tsv").write_text("abc\tabca\n", encoding="utf-8")
    found = prepared(tmp_path / "m", tree, pairs)
    assert found.config.model.copy is copies
    source, _ = found.train.pair(0)
    assert len(source.copies) == (len(source) + 1 if copies else 0)


def test_scores_on_training_pairs_need_a_pair_that_can_be_used(tmp_path: Path) -> None:
    tree = {"data": {"validation": 0}, "source": WORD | {"keep_only": "a-z"}, "target": WORD}
    found = prepared(tmp_path / "p", tree, [("12", "twelve"), *PAIRS], said := [])
    assert (len(found.train), len(found.validation), found.held_out) == (60, 1, False)
    assert found.validation.texts() == PAIRS[:1]
    assert "61 pairs are all to be learned from: scores are on training pairs" in said
