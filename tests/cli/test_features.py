"""Columns of features from a file of pairs to every verb that reads sources."""

from __future__ import annotations

import io
import json
import sys
from itertools import product
from pathlib import Path

import pytest

from dragoman.api import load
from dragoman.cli import main
from dragoman.config.options import DataOptions
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.errors import DataError
from dragoman.export.bundle import export
from dragoman.search.request import Request
from dragoman.serving.languages import Models
from served import served, serving

pytestmark = pytest.mark.slow

STEMS = ["".join(letters) for letters in product("bdgk", "aeiou", "lnrst")]
ROWS = [
    (stem, f"V;{tense}", language, stem + ending)
    for stem in STEMS
    for tense, language, ending in (("PST", "en", "ed"), ("PRS", "en", "s"), ("PST", "nl", "de"))
]
SMALL = [
    "--hidden",
    "16",
    "--embedding",
    "8",
    "--steps",
    "4",
    "--validate-every",
    "2",
    "--precision",
    "fp32",
    "--attention",  # with that of words with tags a model of four steps answers nothing
    "luong",
]
READ = ["--columns", "1", "4", "--features-column", "2", "3"]


def write(path: Path, rows: list[tuple[str, ...]]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of words with two columns of features."""
    place = tmp_path_factory.mktemp("features")
    file = write(place / "pairs.tsv", ROWS)
    assert main(["train", str(file), "--out", str(place / "m"), *READ, *SMALL]) == 0
    assert main(["train", str(file), "--out", str(place / "m"), *READ, *SMALL]) == 0  # resumed
    return place / "m"


@pytest.mark.parametrize("reverse", [False, True])
def test_features_belong_to_the_source(tmp_path: Path, reverse: bool) -> None:
    rows = [("go", "V;PST", "went"), ("see", " ", "saw"), ("be", "V"), ("do", "V;PRS", "does")]
    rows.append(("have", " ; ", "had"))
    options = DataOptions(
        columns=(1, 3), features_column=(2,), target_tag="en", reverse=reverse, tolerance=0.9
    )
    faults = Faults()
    pairs = list(read_pairs([write(tmp_path / "p.tsv", rows)], options, faults))
    words = [("went", "go"), ("does", "do")] if reverse else [("go", "went"), ("do", "does")]
    tags = ["V;PST\ten", "V;PRS\ten"]
    assert [(p.source, p.target) for p in pairs] == [
        (f"{source}\t{tag}", target) for (source, target), tag in zip(words, tags, strict=True)
    ]
    assert faults.counts == {"empty": 2, "columns": 1}
    assert all("column 2 is empty" in fault.detail for fault in faults.first["empty"])


def test_columns_of_features_have_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.csv"
    file.write_text('tags,lemma,"form, written",note\nV;PST,go,went,x\nV,see,see,y\n')
    options = DataOptions(columns=("lemma", "form, written"), features_column=("tags", 4))
    pairs = [(pair.source, pair.target) for pair in read_pairs([file], options, Faults())]
    assert pairs == [("go\tV;PST\tx", "went"), ("see\tV\ty", "see")]
    begin = ["train", str(file), "--out", str(tmp_path / "m"), "--columns", "lemma", "note"]
    assert main([*begin, "--features-column", "tag", "4"]) == 2
    assert "no columns are named 'tag', 1 is expected (did you mean 'tags'?)" in (
        capsys.readouterr().err
    )


def test_features_are_columns_of_plain_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.jsonl").write_text('{"source": "a", "target": "b"}\n')
    asked = ["train", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "m")]
    assert main([*asked, "--features-column", "3"]) == 2
    assert "data.features_column" in capsys.readouterr().err
    assert (
        main(
            [
                "train",
                str(write(tmp_path / "p.tsv", ROWS)),
                "--out",
                str(tmp_path / "m"),
                *READ,
                "--model.shared-embeddings",
            ]
        )
        == 2
    )
    assert "model.shared_embeddings cannot have features" in capsys.readouterr().err


def test_words_are_held_out_and_every_tag_is_a_token(folder: Path) -> None:
    model = load(folder)
    assert model.config.source.level == "char"
    tags = {"1 V", "1 PST", "1 PRS", "2 en", "2 nl"}
    assert model.folder.source.tags.tokens == tags
    held_out = {source.split("\t")[0] for source in model.examples().sources}
    assert len(model.examples().sources) == 3 * len(held_out) == 30
    (answer,) = model.translate(["bal\tPST;V\tnl"])
    assert answer.source_tokens == ("PST", "V", "nl", "b", "a", "l")


def test_verbs_read_features(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = write(folder.parent / "test.tsv", ROWS[:20])
    assert main(["evaluate", str(folder), str(test), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lines"] == 20 and found["baselines"]["copy"]["exact match"] == 0.0
    assert main(["score", str(folder), str(test)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 20
    assert main(["explain", str(folder), "bal\tV;PST\ten"]) == 0
    assert "PST" in capsys.readouterr().out
    assert main(["check", str(test), *READ]) == 0
    assert main(["check", str(test), *READ, "--fix", str(folder.parent / "fixed.tsv")]) == 2
    assert "features" in capsys.readouterr().err


def test_pairs_with_a_tag_that_training_never_saw_are_left_out_of_a_test(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [ROWS[0], (*ROWS[1][:1], "V;PTS", *ROWS[1][2:]), *ROWS[2:40]]
    test, outputs = write(tmp_path / "test.tsv", rows), tmp_path / "out.txt"
    asked = ["evaluate", str(folder), str(test), "--json"]
    assert main([*asked, "--outputs", str(outputs)]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["lines"] == 39 and found["left_out"] == 1
    assert "1 line left out, tags: " in said.err and f"{test}:2: the tag 'PTS' of " in said.err
    lines = outputs.read_text("utf-8").splitlines()
    assert len(lines) == 40 and lines[1] == "" and lines[0] != ""
    write(test, rows[1:4])
    assert main(asked) == 2
    assert "1 of 3 lines cannot be used" in capsys.readouterr().err


def translated(
    folder: Path, text: str, *options: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[str]]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdout", said)
    return main(["translate", str(folder), *options]), said.getvalue().splitlines()


def test_the_same_words_with_other_features_are_no_duplicates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(stem, case, "en", stem) for stem in STEMS for case in ("N;NOM", "N;ACC")]
    file = write(tmp_path / "p.tsv", rows)
    for more, is_told in (([], True), (READ[3:], False)):
        assert main(["check", str(file), *READ[:3], *more]) == 0
        assert ("duplicates" in capsys.readouterr().out) == is_told


def test_a_line_with_a_wrong_tag_is_named_and_the_others_answered(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "bal\tV;PST\ten\nbal\tV;PTS\ten\n\nbal\n"
    code, answers = translated(folder, lines, monkeypatch=monkeypatch)
    assert code == 1 and len(answers) == 4
    (right,) = load(folder).translate(["bal\tV;PST\ten"])
    assert answers == [right.text, "", "", ""]
    said = capsys.readouterr().err
    assert "the tag 'PTS' of 'bal\\tV;PTS\\ten' is not one that training saw" in said
    assert "did you mean 'PST'?" in said and "has 0 columns of features, 2 expected" in said


def test_a_wrong_tag_beside_the_words_is_named_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"{tags};{language} {stem}", form) for stem, tags, language, form in ROWS]
    file, model = write(tmp_path / "p.tsv", rows), tmp_path / "m"
    assert main(["train", str(file), "--out", str(model), *SMALL]) == 0
    lines = "V;PST;en bal\nV;PTS;en bal\nPTS bal\nbal\n"
    code, answers = translated(model, lines, monkeypatch=monkeypatch)
    assert code == 1 and answers[1:3] == ["", ""] and answers[0] and answers[3]
    said = capsys.readouterr().err
    assert "the tag 'PTS' of 'V;PTS;en bal' is not one that training saw" in said
    assert "'PTS bal' has no tag that training saw" in said
    with serving(served("en", "xx", model=load(model).translator({})[0])) as client:
        refused = client.translate("V;PTS;en bal", source="en", target="xx")
        assert refused.status == 400 and "did you mean 'PST'" in refused.text
    test = write(tmp_path / "test.tsv", [*rows[:39], ("V;PTS;en bal", "baled")])
    assert main(["evaluate", str(model), str(test)]) == 0
    assert "1 line left out, tags: " in capsys.readouterr().err


def test_a_target_tag_is_the_last_column(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, tagged = ("bal\tV;PST\tnl\n", "bal\tV;PST\n")
    expected = translated(folder, whole, monkeypatch=monkeypatch)
    assert translated(folder, tagged, "--target-tag", "nl", monkeypatch=monkeypatch) == expected
    request = json.dumps({"source": "bal", "features": "V;PST"}) + "\n"
    found = translated(folder, request, "--requests", "--target-tag", "nl", monkeypatch=monkeypatch)
    assert found == expected


def test_a_target_tag_needs_a_model_that_reads_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "p.tsv", [(row[0], row[3]) for row in ROWS])
    assert main(["train", str(file), "--out", str(tmp_path / "m"), *SMALL]) == 0
    assert main(["translate", str(tmp_path / "m"), "--target-tag", "nl"]) == 2
    assert "--target-tag: this model reads no features" in capsys.readouterr().err


def test_constraints_and_long_lines_go_with_features(folder: Path) -> None:
    model = load(folder)
    (answer,) = model.translate([Request("bal\tV;PST\ten", prefix="ba", must=("t",))])
    assert answer.text.startswith("ba")
    (long,) = model.translate(["bal" * 100 + "\tV;PST\ten"])
    assert long.text
    with pytest.raises(DataError, match="did you mean 'PST'"):
        model.explain("bal\tPTS\ten")


def test_a_bundle_reads_features(folder: Path) -> None:
    export(folder, folder.parent / "bundle")
    lines = [f"{stem}\tV;PST\tnl" for stem in STEMS[:9]]
    bundle = load(folder.parent / "bundle")
    ours, theirs = load(folder).translate(lines), bundle.translate(lines)
    assert [answer.text for answer in ours] == [answer.text for answer in theirs]


def test_a_server_reads_features_and_refuses_wrong_ones(folder: Path) -> None:
    model = load(folder)
    one = served("en", "xx", model=model.translator({})[0])
    other = served("de", "xx")
    (right,) = model.translate(["bal\tV;PST\tnl"])
    with serving(one) as client:
        for source in ("en", "auto"):
            q = "bal\tV;PST\tnl\nbal\tV;PST\tnl"
            answer = client.translate(q, source=source, target="xx")
            assert answer.json["translatedText"] == f"{right.text}\n{right.text}"
            refused = client.translate("bal\tV;PTS\tnl", source=source, target="xx")
            assert refused.status == 400 and "did you mean 'PST'" in refused.text
    detected = Models([one, other]).detect("the cat", "xx")
    assert detected[0][0] == "de" and detected[0][1] == pytest.approx(1.0)
