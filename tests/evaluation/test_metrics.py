"""Scores against numbers worked by hand and against sacreBLEU itself."""

from __future__ import annotations

import json
import math
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from dragoman.data.samples import sample_pairs
from dragoman.errors import DataError
from dragoman.evaluation.metrics import Measure, measures

OUTPUTS = ["The cat sat on the mat.", "A dog !", "", "It rains today, too."]
REFERENCES = ["The cat sat on a mat.", "A dog!", "Nothing.", "It rains today, too."]


def score_texts(outputs: list[str], references: list[str]) -> dict[str, Measure]:
    found = measures(outputs, [(r,) for r in references], ("bleu", "chrf", "exact"))
    return {m.key: m for m in found}


def test_scores_are_sacrebleus() -> None:
    scores = score_texts(OUTPUTS, REFERENCES)
    assert scores["bleu"].value() == sacrebleu.corpus_bleu(OUTPUTS, [REFERENCES]).score
    assert scores["chrf"].value() == sacrebleu.corpus_chrf(OUTPUTS, [REFERENCES]).score
    assert scores["exact"].value() == 25.0
    version = sacrebleu.__version__
    assert scores["bleu"].signature == (
        f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    )
    assert scores["chrf"].signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0")


@pytest.mark.parametrize(
    ("text", "package", "names"),
    [
        ("今天下午我们去公园散步吧。", "", ("zh", "zh")),
        ("今日は公園を散歩しましょう。", "ipadic", ("ja-mecab", "char")),
        ("오늘 오후에 공원을 산책합시다.", "mecab_ko", ("ko-mecab", "char")),
        ("วันนี้เราไปเดินเล่นในสวนกันเถอะ", "", ("char", "char")),
        ("We walk through 北京 today.", "", ("13a", "13a")),
        ("123 , 45 !", "", ("13a", "13a")),
    ],
)
def test_bleu_is_tokenized_by_script(text: str, package: str, names: tuple[str, str]) -> None:
    """A text that differs in one letter shares most of its tokens: BLEU is neither 0 nor 100."""
    is_there = not package or find_spec(package) is not None
    wrong = text[:4] + "x" + text[5:]
    bleu = score_texts([wrong], [text])["bleu"]
    assert f"|tok:{names[0] if is_there else names[1]}" in bleu.signature
    assert 10 < bleu.value() < 95 or names[0] == "13a"


def test_bleu_by_hand() -> None:
    # "a b c d e" against "a b c d f": precisions 4/5, 3/4, 2/3, 1/2; equal lengths, no penalty.
    value = score_texts(["a b c d e"], ["a b c d f"])["bleu"].value()
    assert value == pytest.approx(100 * math.prod([4 / 5, 3 / 4, 2 / 3, 1 / 2]) ** 0.25)


def test_spaces_at_the_ends_are_no_error() -> None:
    assert score_texts([" a "], ["a"])["exact"].value() == 100.0


@pytest.mark.parametrize(
    ("outputs", "references", "message"),
    [(["a"], ["a", "b"], "1 outputs for 2 references"), ([], [], "there is nothing to score")],
)
def test_what_cannot_be_scored(outputs: list[str], references: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        score_texts(outputs, references)


def test_ragged_references_are_sacrebleus() -> None:
    references = [
        ("The cat sat on a mat.", "A cat sat."),
        ("A dog!",),
        ("No.", "Nothing.", "."),
        ("It rains today, too.",),
    ]
    columns = [[right[i] if i < len(right) else None for right in references] for i in range(3)]
    found = {m.key: m for m in measures(OUTPUTS, references)}
    for key, metric in (("bleu", BLEU()), ("chrf", CHRF())):
        assert found[key].value() == metric.corpus_score(OUTPUTS, columns).score  # type: ignore[attr-defined]
        assert found[key].signature == str(metric.get_signature())  # type: ignore[attr-defined]
        assert found[key].signature.startswith("nrefs:var|")
    assert found["exact"].value() == 25.0
    assert found["exact"].value([0, 1]) == 0.0 and found["exact"].value([3]) == 100.0


def test_error_rates_by_hand() -> None:
    # "K AE1 T S" is one edit from "K AE1 T" (3 phones), and "D AO1 G" two from "D AA2 K" (3).
    outputs, right = ["K AE1 T S", "D AO1 G"], [("K AH0 T T", "K AE1 T"), ("D AA2 K",)]
    tokens, characters = (
        {m.key: m for m in measures(outputs, right, ("errors",), characters=c)}["errors"]
        for c in (False, True)
    )
    assert tokens.name == "token error rate" and tokens.value() == pytest.approx(100 * 3 / 6)
    # By characters the nearest of the first is "K AE1 T": 2 of 7; the second: O, 1 and G, 3 of 7.
    assert characters.name == "character error rate"
    assert characters.value() == pytest.approx(100 * 5 / 14)
    assert not tokens.higher


@given(st.lists(st.tuples(st.text("ab ", max_size=9), st.text("ab ", max_size=9)), min_size=1))
def test_edits_are_levenshteins(pairs: list[tuple[str, str]]) -> None:
    found = measures([a for a, _ in pairs], [(b,) for _, b in pairs], ("errors", "exact"))
    for (a, b), (edits, length), (same, _) in zip(
        pairs, found[1].statistics, found[0].statistics, strict=True
    ):
        assert (edits, length) == (slow_distance(a.split(), b.split()), len(b.split()))
        assert bool(same) == (a.split() == b.split())


def slow_distance(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return len(a) + len(b)
    change = slow_distance(a[1:], b[1:]) + (a[0] != b[0])
    return min(change, slow_distance(a[1:], b) + 1, slow_distance(a, b[1:]) + 1)


@pytest.mark.slow
def test_the_command_line_of_sacrebleu_agrees(tmp_path: Path, python_command: list[str]) -> None:
    pairs = sample_pairs("phrases")[:200]
    outputs = [" ".join(p.target.split()[1:]) if i % 3 else p.target for i, p in enumerate(pairs)]
    (tmp_path / "out").write_text("".join(f"{line}\n" for line in outputs), encoding="utf-8")
    (tmp_path / "ref").write_text("".join(f"{p.target}\n" for p in pairs), encoding="utf-8")
    done = subprocess.run(
        [
            *python_command,
            "-m",
            "sacrebleu",
            tmp_path / "ref",
            "-i",
            tmp_path / "out",
            "-m",
            "bleu",
            "chrf",
            "--width",
            "6",
        ],
        capture_output=True,
        check=True,
    )
    theirs = json.loads(done.stdout)
    found = measures(outputs, [(p.target,) for p in pairs], ("bleu", "chrf"))
    assert [m.signature for m in found] == [row["signature"] for row in theirs]
    assert [round(m.value(), 6) for m in found] == [row["score"] for row in theirs]
