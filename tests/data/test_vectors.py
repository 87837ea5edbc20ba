"""Word vectors: formats, coverage, and files that do not fit."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from dragoman.config.options import SideOptions
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vectors import read_vectors
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import DataError
from tiny import shared_data

PLAIN = "cat 1 2 3\nthe 4 5 6\nParis 7 8 9\n. . 1 1 1\n"


@pytest.fixture
def tokenizer() -> Tokenizer:
    return train_tokenizer(
        ["The cat, a cat in Paris! unheard"], SideOptions(level="word", vocabulary=50)
    )


def found(tokenizer: Tokenizer, path: Path) -> dict[str, list[float]]:
    vectors, _ = read_vectors(path, tokenizer, 3)
    tokens = tokenizer.tokens(vectors)
    return {token: vector.tolist() for token, vector in zip(tokens, vectors.values(), strict=True)}


@pytest.mark.parametrize("header", ["", "4 3\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_words_find_their_vectors(
    tokenizer: Tokenizer, tmp_path: Path, header: str, packed: bool
) -> None:
    path = tmp_path / ("v.txt.gz" if packed else "v.txt")
    data = (header + PLAIN).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    assert found(tokenizer, path) == {"▁cat": [1, 2, 3], "▁The": [4, 5, 6], "▁Paris": [7, 8, 9]}


def test_the_exact_spelling_goes_before_the_lower_case(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "v").write_text("paris 1 1 1\nParis 2 2 2\n")
    assert found(tokenizer, tmp_path / "v") == {"▁Paris": [2, 2, 2]}
    (tmp_path / "v").write_text("Paris 2 2 2\nparis 1 1 1\n")
    assert found(tokenizer, tmp_path / "v") == {"▁Paris": [2, 2, 2]}


def test_what_is_passed_over_is_said(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_text("cat 1 2 3\ncat 9 9 9\nthe 1 2\nin 1 x 3\na 1 2 nan\n\n")
    assert list(found(tokenizer, path).values()) == [[1, 2, 3]]
    assert read_vectors(path, tokenizer, 3)[1] == (
        "word vectors for 1 of 8 tokens (12.5 %); lines that are no vectors passed over: "
        f"{path}:3; {path}:4; {path}:5"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat 1 2\nthe 3 4\n", r"v:1: has vectors of 2 numbers, the embeddings are 3 wide .*2\)"),
        ("2 4\ncat 1 2 3 4\n", r"v:2: has vectors of 4 numbers, .*set --model.embedding 4"),
        ("dog 1 2 3\n", "has no vector for any token .are these words of the right"),
        ("", "has no vector for any token"),
        (None, "no such file"),
    ],
)
def test_files_that_do_not_fit(
    tokenizer: Tokenizer, tmp_path: Path, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "v").write_text(text)
    with pytest.raises(DataError, match=message):
        read_vectors(tmp_path / "v", tokenizer, 3)


def test_real_vectors() -> None:
    path = shared_data("glove/glove.6B.50d.top9163.txt.gz")
    tokenizer = train_tokenizer(["The king, qwxz"], SideOptions(level="word", vocabulary=50))
    vectors, _ = read_vectors(path, tokenizer, 50)
    ids = sorted(vectors)
    assert tokenizer.tokens(ids) == [",", "▁The", "▁king"]
    np.testing.assert_allclose(vectors[ids[1]][:3], [0.418, 0.24968, -0.41242], rtol=1e-6)
