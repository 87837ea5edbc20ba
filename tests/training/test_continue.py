"""Models that are continued: what is replayed, what is scored, what is refused, twice in a row."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dragoman import cli
from dragoman.api import load
from dragoman.config.continuing import RATE, continued
from dragoman.config.options import Config
from dragoman.config.toml import load_config, merge
from dragoman.data.corpus import Corpus
from dragoman.errors import FolderError, OptionError
from dragoman.export.bundle import export
from dragoman.files import locked
from dragoman.layout import BUNDLE
from dragoman.learn import FRESH, distil
from dragoman.runs.display import before_and_after
from dragoman.runs.history import History
from dragoman.training.run import train
from killed import kill_at
from ranks import two_ranks
from tools.differences import differences

pytestmark = pytest.mark.slow

OLD = [(f"a{i} b{j}", f"B{j} A{i}") for i in range(12) for j in range(10)]
NEW = [(f"b{j} a{i} b{j}", f"A{i} B{j}") for i in range(12) for j in range(3)]
SMALL = {"embedding": 8, "hidden": 8, "dropout": 0.2}
FEW = {"training": {"steps": 6, "batch_tokens": 40, "report_every": 1, "precision": "fp32"}}
"""Options that make a test short."""


def write(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("".join("\t".join(pair) + "\n" for pair in pairs), "utf-8")
    return path


def run(pairs: Path, out: Path, config: Config) -> str:
    """Train, and give back what was said."""
    text = io.StringIO()
    train([pairs], out, config, console=Console(file=text, width=200))
    return text.getvalue()


def few(folder: Path, **tables: dict[str, Any]) -> Config:
    return continued(folder, FEW | {"data": {"replay": 0.5}} | tables)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of words without levels to choose, of a few steps."""
    place = tmp_path_factory.mktemp("old")
    training = FEW["training"] | {"steps": 20, "learning_rate": 0.01}
    config = merge(Config(), {"model": SMALL, "training": training}, place="test")
    run(write(place / "old.tsv", OLD), place / "m", config)
    return place / "m"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write(tmp_path / "new.tsv", NEW)


def texts(corpus: Corpus) -> set[tuple[str, str]]:
    return set(corpus.texts())


def test_old_pairs_are_replayed_and_old_held_out_pairs_stay_so(
    old: Path, new: Path, tmp_path: Path
) -> None:
    said = run(new, tmp_path / "n", few(old))
    train_, held = (Corpus(tmp_path / "n/corpus" / f"{n}.arrow") for n in ("train", "validation"))
    before = [Corpus(old / "corpus" / f"{name}.arrow") for name in ("train", "validation")]
    assert [group.rows for group in train_.groups] == [33, len(before[0])]
    assert [group.drawn for group in train_.groups] == [33, 33]
    rows = [train_.pair(33 + row)[1].tolist() for row in range(len(before[0]))]
    assert rows == [before[0].pair(row)[1].tolist() for row in range(len(before[0]))]
    assert [group.name for group in held.groups] == [str(old), str(new)]
    assert texts(before[1]) == {pair for pair in held.texts() if pair in OLD}
    assert len(held) == len(before[1]) + 3
    assert "an epoch has 33 of the 33 pairs of" in said
    assert {one.name for one in (tmp_path / "n").iterdir()} >= {"source.json", "model.safetensors"}
    assert (tmp_path / "n/source.json").read_bytes() == (old / "source.json").read_bytes()


def test_scores_of_both_are_told_before_and_after(old: Path, new: Path, tmp_path: Path) -> None:
    said = run(new, tmp_path / "n", few(old))
    rows = History.of(tmp_path / "n").kind("validation")
    assert [row["step"] for row in rows] == [0, 6]
    assert [list(row["parts"]) for row in rows] == [[str(old), str(new)]] * 2
    for row in rows:
        for name in ("loss", "chrf", "exact"):
            both = [scores[name] for scores in row["parts"].values()]
            assert row[name] == pytest.approx(sum(both) / 2)
    history = History.of(tmp_path / "n")
    best = history.best["parts"]
    first = rows[0]["parts"]
    expected = f"validation pairs of {old}: chrF {first[str(old)]['chrf']:.1f} -> "
    expected += f"{best[str(old)]['chrf']:.1f}; of {new}: chrF {first[str(new)]['chrf']:.1f} -> "
    expected += f"{best[str(new)]['chrf']:.1f}"
    assert before_and_after(history) == expected
    assert expected in said and expected in history.record["notes"]
    assert said.index(f"  pairs of {old}: loss") < said.index("step 6: ")
    assert before_and_after(History.of(old)) == ""


def test_the_first_weights_are_those_of_the_model(old: Path, new: Path, tmp_path: Path) -> None:
    run(new, tmp_path / "n", few(old, training={**FEW["training"], "learning_rate": 0.0}))
    weights = [(folder / "model.safetensors").read_bytes() for folder in (old, tmp_path / "n")]
    assert weights[0] == weights[1]


def test_held_out_pairs_that_a_refit_has_learned_are_told(tmp_path: Path) -> None:
    training = {"training": FEW["training"] | {"steps": 20, "refit": True}}
    config = merge(Config(), {"model": SMALL} | training, place="test")
    run(write(tmp_path / "old.tsv", OLD), tmp_path / "m", config)
    told = f"{tmp_path / 'm'} has learned its held-out pairs in a refit: scores are too good"
    new = write(tmp_path / "new.tsv", NEW)
    assert told in run(new, tmp_path / "n", few(tmp_path / "m"))
    assert told in History.of(tmp_path / "n").record["notes"]
    alone = few(tmp_path / "m", data={"replay": "none"})
    assert told not in run(new, tmp_path / "o", alone)


def test_a_continued_model_is_continued(old: Path, new: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "more.tsv", [(f"a{i} a{i}", f"A{i} A{i}") for i in range(12)])
    run(new, tmp_path / "one", few(old))
    run(more, tmp_path / "two", few(tmp_path / "one"))
    one, two = (Corpus(tmp_path / name / "corpus/train.arrow") for name in ("one", "two"))
    assert [g.rows for g in two.groups] == [11, *(g.rows for g in one.groups)]
    # The old pairs are half of the epoch, and keep the proportions that they had in the first run.
    shares = [
        now.weight / before.weight for now, before in zip(two.groups[1:], one.groups, strict=True)
    ]
    assert shares == [pytest.approx(11 / sum(group.drawn for group in one.groups))] * 2
    assert [group.name for group in two.groups] == [str(more), *(g.name for g in one.groups)]
    held = Corpus(tmp_path / "two/corpus/validation.arrow")
    earlier = Corpus(tmp_path / "one/corpus/validation.arrow")
    assert texts(earlier) < texts(held) and len(held.groups) == 2
    rates = [load_config(f).training.learning_rate for f in (old, tmp_path / "one")]
    assert rates[1] == pytest.approx(RATE * rates[0])
    assert continued(tmp_path / "one").training.learning_rate == rates[1]


def test_a_new_pair_whose_source_is_held_out_is_left_out(old: Path, tmp_path: Path) -> None:
    held = Corpus(old / "corpus/validation.arrow").texts()
    new = write(tmp_path / "new.tsv", [*NEW, (held[0][0].upper() + " !", "X")])
    said = run(new, tmp_path / "n", few(old))
    assert "1 pair left out: their sources are held out" in said


def test_an_old_pair_with_a_new_target_is_not_replayed(old: Path, tmp_path: Path) -> None:
    corpus, source = Corpus(old / "corpus/train.arrow"), OLD[0][0]
    held = {text for text, _ in Corpus(old / "corpus/validation.arrow").texts()}
    source = next(text for text, _ in OLD if text not in held)
    new = write(tmp_path / "new.tsv", [*NEW, (source, "A1 A2")])
    run(new, tmp_path / "n", few(old))
    after = Corpus(tmp_path / "n/corpus/train.arrow")
    assert after.groups[1].rows == len(corpus) - 1


def test_an_epoch_replays_at_most_as_many_pairs_as_one_of_the_model_had(
    old: Path, new: Path, tmp_path: Path
) -> None:
    run(new, tmp_path / "n", few(old, data={"replay": 0.95}))
    before, now = (Corpus(folder / "corpus/train.arrow") for folder in (old, tmp_path / "n"))
    assert now.groups[1] == before.groups[0]


def test_without_replay_only_the_new_pairs_are_learned(
    old: Path, new: Path, tmp_path: Path
) -> None:
    run(new, tmp_path / "n", few(old, data={"replay": 0}))
    assert len(Corpus(tmp_path / "n/corpus/train.arrow").groups) == 1
    assert len(Corpus(tmp_path / "n/corpus/validation.arrow").groups) == 2


def test_a_model_without_its_pairs_is_continued_without_replay(
    old: Path, new: Path, tmp_path: Path
) -> None:
    shutil.copytree(old, tmp_path / "m")
    shutil.rmtree(tmp_path / "m/corpus")
    message = r"m: its pairs cannot be replayed: it has no corpus/ \(learn without them: --replay 0"
    with pytest.raises(FolderError, match=message):
        run(new, tmp_path / "n", few(tmp_path / "m"))
    assert not (tmp_path / "n").exists()
    said = run(new, tmp_path / "n", few(tmp_path / "m", data={"replay": 0}))
    assert "validation pairs" not in said and "6 steps done" in said


def test_the_pairs_of_few_corrections_are_scored_too(old: Path, tmp_path: Path) -> None:
    new = write(tmp_path / "new.tsv", NEW[:4])
    said = run(new, tmp_path / "n", few(old))
    assert (
        "4 pairs are too few, or too alike, to hold any out: scores are on training pairs" in said
    )
    groups = Corpus(tmp_path / "n/corpus/validation.arrow").groups
    assert [group.rows for group in groups] == [12, 4]


def test_a_run_that_is_stopped_goes_on_to_the_same_bits(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = few(
        old, data={"replay": 0.5, "also": [f"{write(tmp_path / 'also.tsv', OLD[:30])}=0.4"]}
    )
    config = merge(config, {"training": {"steps": 11, "save_every": 3}}, place="test")
    run(new, tmp_path / "whole", config)
    kill_at(monkeypatch, (1, 7), lambda: run(new, tmp_path / "parts", config))
    run(new, tmp_path / "parts", config)
    assert differences(tmp_path / "whole", tmp_path / "parts") == []


@pytest.mark.parametrize(
    "tree",
    [
        {"model": {"copy": True, "attention": "bahdanau"}},
        {"source": {"level": "bpe", "vocabulary": 40}, "target": {"level": "char"}},
        {"model": {"shared_embeddings": True}},
        {
            "model": {
                "family": "transformer",
                "hidden": 8,
                "embedding": 8,
                "transformer": {"heads": 2},
            }
        },
        {"model": {"family": "hybrid", "hidden": 8, "embedding": 8, "transformer": {"heads": 2}}},
        {"data": {"target_tag": "en"}},
        {"training": {"refit": True, "objective": "sampled", "label_smoothing": 0.0}},
    ],
)
def test_models_of_other_options_are_continued(
    tree: dict[str, Any], new: Path, tmp_path: Path
) -> None:
    config = merge(Config(), {"model": SMALL, **FEW}, place="test")
    pairs = write(tmp_path / "old.tsv", OLD)
    run(pairs, tmp_path / "m", merge(config, tree, place="test"))
    said = run(new, tmp_path / "n", few(tmp_path / "m"))
    assert "validation pairs of" in said and not load_config(tmp_path / "n").training.refit


def test_a_distilled_model_replays_nothing(old: Path, new: Path, tmp_path: Path) -> None:
    longer = {**FEW["training"], "steps": 100, "learning_rate": 0.02}
    run(new, tmp_path / "n", few(old, training=longer))
    config = merge(merge(load_config(tmp_path / "n"), FRESH, place=""), FEW, place="")
    distil(tmp_path / "n", new, tmp_path / "d", config, console=Console(file=io.StringIO()))
    assert len(Corpus(tmp_path / "d/corpus/train.arrow").groups) == 1


def test_a_continued_model_is_scored_and_exported(old: Path, new: Path, tmp_path: Path) -> None:
    run(new, tmp_path / "n", few(old))
    assert cli.main(["evaluate", str(tmp_path / "n"), str(new)]) == 0
    export(tmp_path / "n", tmp_path / "b", lines=5)
    assert load(tmp_path / "b").examples(new).sources[0] == NEW[0][0]


def test_two_processes_continue_a_model(
    old: Path, new: Path, tmp_path: Path, dragoman_command: list[str]
) -> None:
    command = [*dragoman_command, "train", str(new), "--continue", str(old)]
    command += ["--out", str(tmp_path / "n"), "--steps", "8", "--threads", "1"]
    assert "validation pairs of" in two_ranks(command)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["train", *arguments]) == 2
    lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 1
    return lines[0]


def test_what_cannot_be_continued_is_refused_in_one_line(
    old: Path, new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = [str(new), "--out", str(tmp_path / "n"), "--continue"]
    assert "no such folder" in refused([*begin, str(tmp_path / "no")], capsys)
    (tmp_path / "empty").mkdir()
    assert "is not a model folder" in refused([*begin, str(tmp_path / "empty")], capsys)
    shutil.copytree(old, tmp_path / "b")
    (tmp_path / "b" / BUNDLE).write_text("{}")
    assert "is a bundle, which cannot be trained" in refused([*begin, str(tmp_path / "b")], capsys)
    with locked(old):
        assert "is in training (wait for its end)" in refused([*begin, str(old)], capsys)
    line = refused([*begin, str(old), "--hidden", "12", "--source.level", "bpe"], capsys)
    assert f"{old}: source.level is 'word' there; model.hidden is 8 there (leave it out" in line
    line = refused([*begin, str(old), "--features-column", "3"], capsys)
    assert "its sources have 0 columns of features" in line
    line = refused([*begin, str(old), "--recipe", str(old / "config.toml")], capsys)
    assert "--recipe: cannot stand beside --continue (leave it out)" in line
    assert not (tmp_path / "n").exists()
    line = refused([str(new), "--out", str(old), "--continue", str(old)], capsys)
    assert "holds a run with other options" in line


def test_options_of_the_command_line_are_kept(old: Path) -> None:
    given = {"data": {"replay": 0.2}, "training": {"budget": "3m"}, "model": {"dropout": 0.4}}
    config = continued(old, given)
    found = (config.data.replay, config.training.budget, config.model.dropout)
    assert found == (0.2, "3m", 0.4)
    assert continued(old).training.start_from == str(old)
    with pytest.raises(OptionError, match="unknown option"):
        continued(old, {"data": {"nothing": 1}})
