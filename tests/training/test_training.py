"""Whole trainings on small data: learning, resuming, ending, and what is left behind."""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import dragoman
from dragoman.config.options import Config
from dragoman.config.toml import load_config, merge, to_toml
from dragoman.data.batches import Batch
from dragoman.data.plans import Plan, plan_epoch
from dragoman.data.prepare import Prepared
from dragoman.errors import FolderError, OptionError, TrainingError
from dragoman.model.folder import load_folder
from dragoman.model.output import Objective
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training import loop
from dragoman.training.checkpoint import checkpoints
from dragoman.training.folder import begin
from dragoman.training.run import train
from dragoman.training.state import Run
from dragoman.training.validation import free_accuracy
from ranks import two_ranks

pytestmark = pytest.mark.slow

WORDS = {"un": "one", "deux": "two", "trois": "three", "quatre": "four", "cinq": "five"}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers said in French, to be said backwards in English."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    names = list(WORDS)
    rows = [
        [names[i], names[j], names[k], names[m]]
        for i in range(5)
        for j in range(5)
        for k in range(5)
        for m in range(2)
    ]
    lines = [f"{' '.join(r)}\t{' '.join(WORDS[w] for w in reversed(r))}" for r in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def options(family: str = "recurrent", **training: object) -> Config:
    small = {"embedding": 24, "hidden": 48, "dropout": 0.1}
    if family != "recurrent":
        group = {"encoder_layers": 2, "decoder_layers": 1, "heads": 2}
        small |= {"family": family, "embedding": 48, "transformer": group}
    given = {
        "steps": 30,
        "batch_tokens": 200,
        "validate_every": 10,
        "report_every": 5,
        "precision": "fp32",
        "warmup": 5,
    } | training
    return merge(Config(), {"model": small, "training": given}, place="test")


def run(pairs: Path, out: Path, config: Config) -> str:
    """Train, and give back what was said."""
    text = io.StringIO()
    train([pairs], out, config, console=Console(file=text, width=200))
    return text.getvalue()


def weights(out: Path) -> dict[str, torch.Tensor]:
    return dict(load_folder(out).model.state_dict())


def metrics(out: Path, kind: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


def test_a_training_learns_its_task_and_leaves_a_model(pairs: Path, tmp_path: Path) -> None:
    said = run(pairs, tmp_path / "m", options(steps=400, validate_every=100, warmup=20))
    model = dragoman.load(tmp_path / "m")
    answers = model.translate(["trois deux un un", "", "cinq cinq quatre deux"])
    assert [a.text for a in answers] == ["one one two three", "", "two four five five"]
    result = model.evaluate()
    assert {m.name: m.value() for m in result.measures}["exact match"] == 100.0
    assert len(result.outputs) == 25  # a tenth
    assert "400 steps done" in said and "exact 100.0 %" in said
    assert "No better than answers without a model" not in said
    rows = metrics(tmp_path / "m", "validation")
    assert [row["step"] for row in rows] == [100, 200, 300, 400]
    assert rows[-1]["loss"] < rows[0]["loss"]  # type: ignore[operator]
    assert rows[-1]["perplexity"] == pytest.approx(math.exp(rows[-1]["loss"]))  # type: ignore[arg-type]
    assert [r["step"] for r in metrics(tmp_path / "m", "train")] == list(range(5, 401, 5))


@pytest.mark.parametrize(
    ("stop", "family"),
    [(7, "recurrent"), (10, "recurrent"), (23, "recurrent"), (7, "transformer"), (23, "hybrid")],
)
def test_a_resumed_run_has_the_numbers_of_an_uninterrupted_one(
    pairs: Path, tmp_path: Path, stop: int, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = options(family, save_every=1)
    run(pairs, tmp_path / "whole", config)

    real = loop.train_step

    def dying(now: Run, batch: object) -> object:
        if now.state.step == stop:
            raise KeyboardInterrupt
        return real(now, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "train_step", dying)
    with pytest.raises(KeyboardInterrupt):
        run(pairs, tmp_path / "parts", config)
    monkeypatch.undo()
    assert f"resuming at step {stop}" in run(pairs, tmp_path / "parts", config)

    for one, other in zip(
        metrics(tmp_path / "whole", "train"), metrics(tmp_path / "parts", "train"), strict=True
    ):
        for name in ("step", "epoch", "loss", "gradient_norm", "learning_rate", "tokens"):
            assert one[name] == other[name]
    wanted = weights(tmp_path / "whole")
    for name, tensor in weights(tmp_path / "parts").items():
        assert torch.equal(tensor, wanted[name]), name


def test_the_same_command_on_a_finished_run_does_nothing(pairs: Path, tmp_path: Path) -> None:
    run(pairs, tmp_path / "m", options(steps=5))
    before = {p: p.read_bytes() for p in (tmp_path / "m").glob("*.*")}
    assert "nothing to do: 5 steps done" in run(pairs, tmp_path / "m", options(steps=5))
    assert {p: p.read_bytes() for p in (tmp_path / "m").glob("*.*")} == before


def test_a_finished_run_goes_on_when_its_limit_is_raised(pairs: Path, tmp_path: Path) -> None:
    run(pairs, tmp_path / "m", options(steps=5))
    assert "resuming at step 5" in run(pairs, tmp_path / "m", options(steps=9))
    assert checkpoints(tmp_path / "m")[-1].name == "step-00000009"


def test_other_options_or_data_are_refused(pairs: Path, tmp_path: Path) -> None:
    run(pairs, tmp_path / "m", options(steps=3))
    with pytest.raises(
        OptionError, match=r"training.seed was 1, now 2 \(give the same .*another --out"
    ):
        run(pairs, tmp_path / "m", options(steps=3, seed=2))
    other = tmp_path / "other.tsv"
    other.write_text(pairs.read_text() + "un\tone\n")
    with pytest.raises(OptionError, match="holds a run on other data"):
        run(other, tmp_path / "m", options(steps=3))
    (tmp_path / "m" / "run.json").write_text("{")
    with pytest.raises(FolderError, match="cannot be resumed: run.json is missing or damaged"):
        run(pairs, tmp_path / "m", options(steps=3))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.json", "[]"),
        ("state.json", "{}"),
        ("state.json", '{"best": null, "step": "x"}'),
        ("optimizer.safetensors", "x"),
        ("model.safetensors", None),
    ],
)
def test_a_damaged_checkpoint_is_named_with_its_cure(
    pairs: Path, tmp_path: Path, name: str, content: str | None
) -> None:
    run(pairs, tmp_path / "m", options(steps=4, save_every=2))
    last = checkpoints(tmp_path / "m")[-1]
    if content is None:
        (last / name).unlink()
    else:
        (last / name).write_text(content)
    with pytest.raises(FolderError, match=f"{name}: .*remove .*step-00000004") as caught:
        run(pairs, tmp_path / "m", options(steps=6, save_every=2))
    assert "\n" not in str(caught.value)
    shutil.rmtree(last)
    assert "resuming at step 2" in run(pairs, tmp_path / "m", options(steps=6, save_every=2))


def test_the_last_checkpoints_are_kept_and_no_partial_one(pairs: Path, tmp_path: Path) -> None:
    run(pairs, tmp_path / "m", options(steps=9, save_every=2, keep=3))
    names = [p.name for p in (tmp_path / "m" / "checkpoints").iterdir()]
    assert sorted(names) == ["step-00000006", "step-00000008", "step-00000009"]


def test_a_foreign_folder_is_left_alone(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.txt").write_text("mine")
    with pytest.raises(OptionError, match="is not empty and no model folder: .*'thesis.txt'"):
        run(pairs, tmp_path / "m", options())
    assert [p.name for p in (tmp_path / "m").iterdir()] == ["thesis.txt"]
    with pytest.raises(OptionError, match="is a file, a folder is expected"):
        run(pairs, tmp_path / "m" / "thesis.txt", options())


@pytest.mark.parametrize("name", ["corpus/p.tsv", "corpus/train.json", "source.json", "run.json"])
def test_pairs_with_the_name_of_a_file_of_a_model_folder_are_left_alone(
    name: str, pairs: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "m" / name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(pairs.read_bytes())
    with pytest.raises(OptionError, match=f"it holds '{name.partition('/')[0]}'"):
        run(mine, tmp_path / "m", options(steps=1))
    assert mine.read_bytes() == pairs.read_bytes()
    assert [path.name for path in (tmp_path / "m").iterdir()] == [name.partition("/")[0]]


def test_failing_data_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("one column\n" * 5)
    with pytest.raises(dragoman.DragomanError):
        run(tmp_path / "p.tsv", tmp_path / "m", options())
    assert not (tmp_path / "m").exists()


def test_patience_ends_a_run_that_no_longer_improves(pairs: Path, tmp_path: Path) -> None:
    said = run(
        pairs, tmp_path / "m", options(steps=0, learning_rate=1e-9, patience=3, validate_every=4)
    )
    assert "no better chrf in 3 validations" in said


def test_the_best_weights_are_kept_not_the_last(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([10.0, 30.0, 20.0])
    real = loop.validate
    kept: list[dict[str, torch.Tensor]] = []

    def scripted(model: Seq2Seq, prepared: Prepared) -> object:
        found, facts = real(model, prepared)
        kept.append({k: v.clone() for k, v in model.state_dict().items()})
        return found | {"chrf": next(scores)}, facts

    monkeypatch.setattr(loop, "validate", scripted)
    run(pairs, tmp_path / "m", options(steps=30))
    for name, tensor in weights(tmp_path / "m").items():
        assert torch.equal(tensor, kept[1][name])


@pytest.mark.parametrize(
    ("metric", "scores", "better"),
    [
        ("exact", {"exact": 1.0, "chrf": 5.0}, True),
        ("exact", {"exact": 0.0, "chrf": 30.1}, True),  # none is right yet
        ("exact", {"exact": 0.0, "chrf": 30.0}, False),
        ("chrf", {"exact": 9.0, "chrf": 30.0}, False),
        ("chrf", {"exact": 0.0, "chrf": 30.1}, True),
        ("loss", {"loss": 0.9}, True),
        ("loss", {"loss": math.nan}, False),
    ],
)
def test_which_scores_are_better(metric: str, scores: dict[str, float], better: bool) -> None:
    best = {"exact": 0.0, "chrf": 30.0, "loss": 1.0}
    assert (loop.deciding(scores, metric) > loop.deciding(best, metric)) == better


def test_a_model_no_better_than_the_source_is_called_that(tmp_path: Path) -> None:
    words = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "lnrst"]
    (tmp_path / "p.tsv").write_text("".join(f"{word}\t{word}\n" for word in words))
    text = io.StringIO()
    shown = Console(file=text, width=200)
    dragoman.train(tmp_path / "p.tsv", tmp_path / "m", options(steps=1), console=shown)
    verdict = "No better than answers without a model: "
    documents = [(tmp_path / "m" / name).read_text() for name in ("README.md", "report.html")]
    assert all(verdict in said for said in (text.getvalue(), *documents))
    result = dragoman.load(tmp_path / "m").evaluate()
    assert any(f"{verdict}exact match" in note and "'copy'" in note for note in result.notes)
    assert [measure.key for measure in result.measures[:2]] == ["exact", "errors"]


@pytest.mark.parametrize("spoilt", [(), (5, 6), (29,)], ids=str)
def test_numbers_that_are_read_a_step_later_are_the_same(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: Sequence[int]
) -> None:
    real = loop.train_step

    def spoiling(now: Run, batch: Batch) -> object:
        if now.state.step in spoilt:
            now.model.output.bias.grad = torch.full_like(now.model.output.bias, math.nan)
        return real(now, batch)

    monkeypatch.setattr(loop, "train_step", spoiling)
    config = options(save_every=10, validate_every=12)
    at_once = run(pairs, tmp_path / "at-once", config)
    monkeypatch.setattr(loop, "DELAY", {"cpu": 1})
    later = run(pairs, tmp_path / "later", config)
    for step in spoilt:
        assert f"step {step}: the gradient is not finite" in at_once
        assert f"step {step}: the gradient is not finite" in later
    assert metrics(tmp_path / "later", "train")
    for one, other in zip(
        metrics(tmp_path / "at-once", "train"), metrics(tmp_path / "later", "train"), strict=True
    ):
        for name in ("step", "loss", "accuracy", "gradient_norm", "learning_rate", "tokens"):
            assert one[name] == other[name] or one[name] != one[name]
    wanted = weights(tmp_path / "at-once")
    for name, tensor in weights(tmp_path / "later").items():
        assert torch.equal(tensor, wanted[name]), name


def test_a_non_finite_gradient_changes_nothing(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Seq2Seq.forward
    seen: list[torch.Tensor] = []

    def spoiled(self: Seq2Seq, batch: Batch, objective: Objective) -> object:
        loss = real(self, batch, objective)
        seen.append(self.output.bias.detach().clone())
        return loss._replace(total=loss.total * math.nan) if len(seen) in (3, 4) else loss

    monkeypatch.setattr(Seq2Seq, "forward", spoiled)
    said = run(pairs, tmp_path / "m", options(steps=6))
    assert "step 2: the gradient is not finite; step skipped" in said
    assert torch.equal(seen[2], seen[3]) and torch.equal(seen[3], seen[4])
    assert not torch.equal(seen[4], seen[5])
    assert all(torch.isfinite(t).all() for t in weights(tmp_path / "m").values())


def test_training_stops_when_gradients_stay_non_finite(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Seq2Seq.forward

    def spoiled(self: Seq2Seq, batch: Batch, objective: Objective) -> object:
        loss = real(self, batch, objective)
        return loss._replace(total=loss.total * math.inf)

    monkeypatch.setattr(Seq2Seq, "forward", spoiled)
    with pytest.raises(TrainingError, match="20 steps in a row had no finite gradient"):
        run(pairs, tmp_path / "m", options(steps=100, validate_every=1000))
    rows = metrics(tmp_path / "m", "skipped")
    assert [row["step"] for row in rows] == list(range(20))
    lines = [line for row in rows for line in row["lines"]]
    assert all(row["lines"] == sorted(row["lines"]) for row in rows)
    assert {1} < set(lines) <= set(range(1, 1 + len(pairs.read_text().splitlines())))


def test_a_run_that_skipped_too_many_steps_goes_on_with_another_rate(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Seq2Seq.forward, list[int]()

    def spoiled(self: Seq2Seq, batch: Batch, objective: Objective) -> object:
        if not self.training:  # a validation
            return real(self, batch, objective)
        calls.append(len(calls))
        loss = real(self, batch, objective)
        bad = 12 <= calls[-1] < 32
        return loss._replace(total=loss.total * math.nan) if bad else loss

    monkeypatch.setattr(Seq2Seq, "forward", spoiled)
    with pytest.raises(TrainingError, match="step 31: 20 steps in a row .*learning-rate"):
        run(pairs, tmp_path / "m", options(steps=40))
    assert len(calls) == 32  # not a step more
    rows = metrics(tmp_path / "m", "train")
    assert [row["step"] for row in rows] == [5, 10, 15, 20, 25, 30]
    said = run(pairs, tmp_path / "m", options(steps=40, learning_rate=0.001))
    assert "resuming at step 30" in said
    rows = metrics(tmp_path / "m", "train")
    assert [row["step"] for row in rows] == list(range(5, 41, 5))
    skipped = [row["step"] for row in metrics(tmp_path / "m", "skipped")]
    assert skipped == list(range(12, 30))  # up to the checkpoint: the others were made again


def test_threads_of_a_run_are_its_own(pairs: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    run(pairs, tmp_path / "m", options(steps=1, threads=before + 1))
    assert load_config(tmp_path / "m").training.threads == before + 1
    assert torch.get_num_threads() == before


def load_checkpoint_state(out: Path) -> dict[str, object]:
    return dict(json.loads((checkpoints(out)[-1] / "state.json").read_text()))


def test_a_batch_that_memory_does_not_hold_is_learned_in_parts(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = options(steps=6)
    config = replace(config, model=replace(config.model, dropout=0.0))
    run(pairs, tmp_path / "whole", config)
    real = Seq2Seq.forward

    def small(self: Seq2Seq, batch: Batch, objective: Objective) -> object:
        if self.training and batch.source.numel() + batch.target_in.numel() > 150:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")
        return real(self, batch, objective)

    monkeypatch.setattr(Seq2Seq, "forward", small)
    said = run(pairs, tmp_path / "parts", config)
    assert said.count("out of memory; batches are learned from in parts") == 2  # halved twice
    whole = weights(tmp_path / "whole")
    for name, tensor in weights(tmp_path / "parts").items():
        torch.testing.assert_close(tensor, whole[name], rtol=0, atol=2e-5)
    losses = [
        [row["loss"] for row in metrics(tmp_path / way, "train")] for way in ("whole", "parts")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)

    def none(self: Seq2Seq, batch: Batch, objective: Objective) -> object:
        raise MemoryError

    monkeypatch.setattr(Seq2Seq, "forward", none)
    with pytest.raises(TrainingError, match=r"step 0: memory does not hold a batch of \d+ tok"):
        run(pairs, tmp_path / "none", config)


def test_two_pairs_are_enough_to_learn_by_heart(tmp_path: Path) -> None:
    (tmp_path / "qa.tsv").write_text(
        "what is the color of banana\tyellow most of the time\n"
        "what makes up water molecules\thydrogen and oxygen\n"
    )
    said = run(tmp_path / "qa.tsv", tmp_path / "m", options(steps=150, validate_every=50))
    assert "too few, or too alike, to hold any out" in said
    model = dragoman.load(tmp_path / "m")
    answers = model.translate(["what makes up water molecules", "what is the color of banana"])
    assert [a.text for a in answers] == ["hydrogen and oxygen", "yellow most of the time"]


def test_validation_pairs_of_their_own(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "v.tsv").write_text("un un\tone one\ndeux\ttwo\n")
    config = options(steps=2)
    config = replace(config, data=replace(config.data, validation_pairs=(str(tmp_path / "v.tsv"),)))
    assert "250 pairs to learn from, 2 held out" in run(pairs, tmp_path / "m", config)
    run(pairs, tmp_path / "m", config)  # the same command again
    (tmp_path / "v.tsv").write_text("un un\tone one\nun\tone\n")
    with pytest.raises(OptionError, match="holds a run on other data .give the same pairs"):
        run(pairs, tmp_path / "m", config)


@pytest.mark.parametrize("batching", ["sentences", "buckets"])
def test_two_processes_train_as_one_that_has_their_batches(
    pairs: Path,
    tmp_path: Path,
    dragoman_command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    batching: str,
) -> None:
    """The sum over both processes' tokens is divided once, also where one has fewer tokens.

    Those of buckets are read from a corpus of several shards.
    """
    config = options(steps=200, batching=batching, batch_sentences=6, validate_every=20)
    config = replace(config, model=replace(config.model, dropout=0.0))
    toml = tmp_path / "r.toml"
    toml.write_text(to_toml(config))
    if batching == "buckets":
        with monkeypatch.context() as patch:
            patch.setattr("dragoman.data.text.CHUNK", 50)
            patch.setattr("dragoman.data.text.SHARD", 2)
            (tmp_path / "corpus").mkdir()
            begin([pairs], tmp_path / "corpus", config, lambda text: None)
        pairs = tmp_path / "corpus"
    command = [*dragoman_command, "train", str(pairs), "--out", str(tmp_path / "two")]
    said = two_ranks([*command, "--recipe", str(toml)])
    assert said.count("pairs to learn from") == 1
    shards = len([*(tmp_path / "two" / "corpus").glob("train*.arrow")])
    assert shards == 1 if batching == "sentences" else shards > 1

    def joined(*given: Any, **order: Any) -> Plan:
        plan = plan_epoch(*given, **order | {"processes": 2})
        return [np.append(plan[i], plan[(i + 1) % len(plan)]) for i in range(0, len(plan), 2)]

    monkeypatch.setattr("dragoman.training.step.plan_epoch", joined)
    run(pairs, tmp_path / "one", config)
    two, one = (metrics(tmp_path / name, "validation") for name in ("two", "one"))
    losses = [[row["loss"] for row in rows] for rows in (two, one)]
    assert len(losses[0]) == 10 and losses[0] == pytest.approx(losses[1], abs=1e-5)
    tokens = [metrics(tmp_path / name, "train")[-1]["tokens"] for name in ("two", "one")]
    assert tokens[0] == tokens[1]
    for name, tensor in weights(tmp_path / "two").items():
        torch.testing.assert_close(tensor, weights(tmp_path / "one")[name], rtol=0, atol=1e-4)


def test_bf16_learns_what_fp32_learns(pairs: Path, tmp_path: Path) -> None:
    for precision in ("fp32", "bf16"):
        run(
            pairs,
            tmp_path / precision,
            options(steps=150, validate_every=150, precision=precision, warmup=20),
        )
    one, other = (metrics(tmp_path / p, "validation")[-1]["loss"] for p in ("fp32", "bf16"))
    assert one == pytest.approx(other, rel=0.1)  # type: ignore[arg-type]
    assert weights(tmp_path / "bf16")["output.weight"].dtype == torch.float32


def test_scores_can_be_taken_at_the_end_of_every_epoch(pairs: Path, tmp_path: Path) -> None:
    config = options(
        steps=0, epochs=3, validate_every="epoch", save_every="epoch", keep=9, batch_tokens=60
    )
    run(pairs, tmp_path / "m", config)
    found = metrics(tmp_path / "m", "validation")
    assert [row["epoch"] for row in found] == [1, 2, 3]
    batches = found[0]["step"]
    assert [row["step"] for row in found] == [batches, 2 * batches, 3 * batches]
    assert [int(p.name[5:]) for p in checkpoints(tmp_path / "m")] == [r["step"] for r in found]
    assert 0 < found[0]["free_accuracy"] < found[-1]["free_accuracy"] <= 1
    last = metrics(tmp_path / "m", "train")[-1]
    assert 0.2 < last["accuracy"] <= 1


def test_free_running_accuracy_counts_places_and_ends() -> None:
    references = [["a", "b", "c"], ["d"]]
    assert free_accuracy([["a", "b", "c"], ["d"]], references) == 1
    # a, c in their places, no end; then d and a token too many
    assert free_accuracy([["a", "x", "c", "y"], ["d", "e"]], references) == 3 / 6
    assert free_accuracy([[], []], references) == 0


def test_a_run_ends_with_a_confidence_of_its_best_weights(tmp_path: Path) -> None:
    names = list(WORDS)
    rows = [[a, b, c, d] for a in names for b in names for c in names for d in names]
    lines = [f"{' '.join(r)}\t{' '.join(WORDS[w] for w in reversed(r))}" for r in rows]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(tmp_path / "pairs.tsv", tmp_path / "m", options(steps=60, validate_every=60))
    first = (tmp_path / "m" / "confidence.json").read_text()
    model = dragoman.load(tmp_path / "m")
    answers = model.translate(["un deux trois un", "cinq cinq cinq deux"])
    assert model.confidence is not None
    assert all(0 < model.confidence.of(answer) < 1 for answer in answers)
    run(tmp_path / "pairs.tsv", tmp_path / "m", options(steps=250, validate_every=60))
    assert (tmp_path / "m" / "confidence.json").read_text() != first


def test_a_report_that_cannot_be_written_ends_no_training(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = options(steps=4, validate_every=2)
    run(pairs, tmp_path / "m", replace(config, training=replace(config.training, steps=2)))
    (tmp_path / "m" / "README.md").unlink(missing_ok=True)
    (tmp_path / "m" / "README.md").mkdir()
    console = Console(file=io.StringIO())
    outcome = dragoman.train(pairs, tmp_path / "m", config, console=console)
    assert outcome.state.step == 4
    assert "dragoman: README.md is not written: " in capsys.readouterr().err
    assert (tmp_path / "m" / "report.html").exists()


def test_a_confidence_that_cannot_be_fitted_ends_no_training(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "fit_and_save_confidence", lambda *_: 1 / 0)
    said = run(pairs, tmp_path / "m", options(steps=4))
    assert "confidence.json is not written: division by zero" in said
    assert load_checkpoint_state(tmp_path / "m")["finished"] == "4 steps done"


def test_a_pointer_carries_names_that_nobody_has_seen(tmp_path: Path) -> None:
    random = np.random.default_rng(1)

    def name() -> str:
        return "".join(
            random.choice(list("bdklmnrst")) + random.choice(list("aeiou")) for _ in range(3)
        ).capitalize()

    rows = [
        (f"my name is {a} from {b}", f"{a} lives in {b}")
        if n % 2
        else (f"{a} met {b} today", f"today {b} met {a}")
        for n, a, b in ((n, name(), name()) for n in range(1200))
    ]
    (tmp_path / "pairs.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in rows))
    words = {"level": "word", "min_count": 5}
    config = merge(
        options(steps=200, validate_every=100, learning_rate=0.01),
        {"source": words, "target": words, "model": {"copy": True}},
        place="test",
    )
    run(tmp_path / "pairs.tsv", tmp_path / "m", config)
    model = dragoman.load(tmp_path / "m")
    answers = model.translate(["my name is Zoë from Xanten", "Zoë met Max today"])
    assert [answer.text for answer in answers] == ["Zoë lives in Xanten", "today Max met Zoë"]
    last = metrics(tmp_path / "m", "validation")[-1]
    assert last["exact"] > 95 and last["free_accuracy"] > 0.95  # type: ignore[operator]
