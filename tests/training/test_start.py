"""Beginning with word vectors or with parts of another model, and pairs that are left out."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from dragoman.config.options import Config, ModelOptions
from dragoman.config.toml import merge
from dragoman.data.prepare import prepare
from dragoman.data.tokenizer import EOS
from dragoman.errors import DragomanError
from dragoman.model.build import build_model
from dragoman.model.folder import load_folder
from dragoman.training import loop
from dragoman.training.plan import resolve
from dragoman.training.run import train
from dragoman.training.start import fill_frequencies
from dragoman.training.state import Run

pytestmark = pytest.mark.slow

PAIRS = "".join(f"{a} {b}\t{b} {a}\n" for a in ("one", "two", "three", "four") for b in "abcdefg")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    (tmp_path / "p.tsv").write_text(PAIRS)
    return tmp_path / "p.tsv"


def options(steps: int = 2, **tables: dict[str, object]) -> Config:
    base = {
        "model": {"embedding": 6, "hidden": 10, "dropout": 0.0},
        "training": {"steps": steps, "batch_tokens": 60, "precision": "fp32"},
    }
    for name, table in tables.items():
        base[name] = base.get(name, {}) | table
    return merge(Config(), base, place="test")


def run(pairs: Path, out: Path, config: Config) -> str:
    text = io.StringIO()
    train([pairs], out, config, console=Console(file=text, width=300))
    return text.getvalue()


def tensors(out: Path) -> dict[str, torch.Tensor]:
    return dict(load_folder(out).model.state_dict())


def test_the_output_begins_with_the_frequencies_of_words(pairs: Path, tmp_path: Path) -> None:
    found = prepare([pairs], tmp_path, replace(options(), model=ModelOptions()), print)
    found = replace(found, config=resolve(found.config, found.train))
    model = build_model(found.config.model, **found.sizes)
    fill_frequencies(model, found.train)
    counts = torch.ones(len(found.target), dtype=torch.double)
    for row in range(len(found.train)):
        for token in (*found.train.pair(row)[1].tolist(), EOS):
            counts[token] += 1
    probabilities = model.output.bias.double().softmax(0)
    torch.testing.assert_close(probabilities, counts / counts.sum(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("freeze", [False, True])
def test_an_encoder_is_taken_over(pairs: Path, tmp_path: Path, freeze: bool) -> None:
    run(pairs, tmp_path / "one", options())
    config = options(
        training={
            "start_from": str(tmp_path / "one"),
            "parts": ["encoder"],
            "freeze": freeze,
            "seed": 2,
        }
    )
    said = run(pairs, tmp_path / "two", config)
    assert f"encoder from {tmp_path / 'one'}: 5 tensors" in said
    one, two = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    for name, tensor in two.items():
        assert torch.equal(tensor, one[name]) == (freeze and name.startswith("encoder.")), name
    source = (tmp_path / "one" / "source.json").read_text()
    assert (tmp_path / "two" / "source.json").read_text() == source


@pytest.mark.parametrize("copy", [False, True])
def test_a_start_before_any_step_is_the_other_models_weights(
    pairs: Path, tmp_path: Path, copy: bool
) -> None:
    run(pairs, tmp_path / "one", options(model={"copy": copy}))
    start = {"start_from": str(tmp_path / "one"), "learning_rate": 0.0, "seed": 3}
    run(pairs, tmp_path / "two", options(training=start))
    one, two = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    assert ("copying.gate.weight" in two) == copy
    assert all(torch.equal(tensor, one[name]) for name, tensor in two.items())


@pytest.mark.parametrize(
    ("parts", "asked", "attention"),
    [
        (["encoder", "decoder"], "auto", "monotonic"),
        (["decoder"], "luong", "luong"),
        (["encoder"], "auto", "luong"),
    ],
)
def test_a_decoder_comes_with_its_attention(
    pairs: Path, tmp_path: Path, parts: list[str], asked: str, attention: str
) -> None:
    run(pairs, tmp_path / "one", options(model={"attention": "monotonic"}))
    start = {"start_from": str(tmp_path / "one"), "parts": parts}
    config = options(1, training=start, model={"attention": asked})
    run(pairs, tmp_path / "two", config)
    assert load_folder(tmp_path / "two").config.model.attention == attention


@pytest.mark.parametrize(
    ("one", "more", "copies"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"copy": False}, False),
        (False, {"copy": True}, True),
    ],
)
def test_a_decoder_copies_as_before_or_as_asked(
    tmp_path: Path, one: bool, more: dict[str, Any], copies: bool
) -> None:
    """Each word has a letter that no other has: without a start, letters are copied."""
    words = [chr(0x4E00 + n) + "abcde"[n % 5] for n in range(60)]
    text = "".join(f"{word}\t{word}s\n" for word in words)
    (tmp_path / "p.tsv").write_text(text, encoding="utf-8")
    spelt = {"source": {"level": "char"}, "target": {"level": "char"}}
    run(
        tmp_path / "p.tsv",
        tmp_path / "one",
        options(model={"copy": one, "attention": "luong"}, **spelt),
    )
    start = {"start_from": str(tmp_path / "one"), "learning_rate": 0.0}
    run(tmp_path / "p.tsv", tmp_path / "two", options(model=more, training=start, **spelt))
    assert ("copying.gate.weight" in tensors(tmp_path / "two")) == copies
    if one != copies:
        return
    first, second = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    assert all(torch.equal(tensor, first[name]) for name, tensor in second.items())


def test_parts_that_do_not_fit(pairs: Path, tmp_path: Path) -> None:
    run(pairs, tmp_path / "one", options())
    start = {"start_from": str(tmp_path / "one")}
    message = r"\[2, 15, 6\] there, \[2, 21, 6\] here \(give the options of .*config.toml, or fewer"
    with pytest.raises(DragomanError, match=message):
        run(pairs, tmp_path / "two", options(training=start, model={"hidden": 14}))
    assert not (tmp_path / "two").exists()
    with pytest.raises(DragomanError, match="nothing: no such folder"):
        run(pairs, tmp_path / "two", options(training={"start_from": str(tmp_path / "nothing")}))
    tags: dict[str, object] = {"features_column": [1]}
    with pytest.raises(DragomanError, match="one: its sources have 0 columns of features .see"):
        run(pairs, tmp_path / "two", options(training=start, data=tags))
    run(pairs, tmp_path / "two", options(training=start | {"parts": ["decoder"]}, data=tags))


@pytest.mark.parametrize("freeze", [False, True])
def test_embeddings_begin_with_word_vectors(pairs: Path, tmp_path: Path, freeze: bool) -> None:
    vectors = tmp_path / "v.txt"
    vectors.write_text("one 1 2 3 4 5 6\nthree 6 5 4 3 2 1\nunused 0 0 0 0 0 0\n")
    side = {"vectors": str(vectors), "freeze_vectors": freeze}
    said = run(pairs, tmp_path / "m", options(source=side))
    assert "word vectors for 2 of 11 tokens (18.2 %)" in said
    folder = load_folder(tmp_path / "m")
    (one,) = folder.source.encode(["one"])[0]
    row = folder.model.encoder.embedding.weight[int(one)]
    near = (row - torch.tensor([1.0, 2, 3, 4, 5, 6])).abs().max()
    assert near == 0 if freeze else 0 < near < 0.1


def test_a_missing_file_is_said_before_pairs_are_read(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("one column only\n" * 9)
    with pytest.raises(DragomanError, match="nothing.txt: no such file"):
        run(tmp_path / "p.tsv", tmp_path / "m", options(source={"vectors": "nothing.txt"}))


def test_pairs_are_left_out_by_length_and_by_unknown_words(tmp_path: Path) -> None:
    rows = [f"word{i % 4} is short\tkept" for i in range(40)]
    rows += [
        "É\tshort once normalised",
        "a source that is far longer than asked for\tx",
        "word1 unheard\tholds a rare word",
    ]
    (tmp_path / "p.tsv").write_text("\n".join(rows) + "\n")
    config = options(
        source={"min_characters": 2, "max_characters": 20, "min_count": 2, "level": "word"},
        data={"drop_unknown": True, "validation": 0},
    )
    said = run(tmp_path / "p.tsv", tmp_path / "m", config)
    assert "2 pairs left out: shorter or longer than asked for" in said
    assert "1 pair left out of training: a token is not in the vocabulary" in said
    assert "40 pairs to learn from" in said
    with pytest.raises(DragomanError, match="no pair is left after tokenizing"):
        run(tmp_path / "p.tsv", tmp_path / "k", options(source={"max_tokens": 1}))
    with pytest.raises(DragomanError, match="no pair has the length asked for"):
        run(tmp_path / "p.tsv", tmp_path / "n", options(source={"min_characters": 99}))


def test_held_out_pairs_that_say_nothing_end_no_training(tmp_path: Path) -> None:
    rows = [("あ" * (i + 1) if i % 2 else f"abc {i}") + f"\tx y {i}" for i in range(40)]
    (tmp_path / "p.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    config = options(source={"keep_only": "a-z0-9"}, data={"validation": 1})
    said = "".join(
        run(
            tmp_path / "p.tsv",
            tmp_path / f"m{seed}",
            replace(config, data=replace(config.data, split_seed=seed)),
        )
        for seed in range(1, 7)
    )
    assert "1 pair left out of validation: a side normalises to nothing" in said
    assert "20 pairs left out of training" in said


@pytest.mark.parametrize(
    "training",
    [
        {"optimizer": "sgd", "learning_rate": 0.5, "momentum": 0.5},
        {"optimizer": "rmsprop", "momentum": 0.9, "learning_rate": 1e-3},
        {"optimizer": "adagrad", "learning_rate": 0.05},
        {"objective": "sampled", "samples": 5, "label_smoothing": 0.0},
        {"scheduled_sampling": "token", "sampling_schedule": "linear"},
        {"batching": "sentences", "batch_sentences": 3},
        {"batching": "buckets", "buckets": [[2, 2], [3, 3]], "batch_sentences": 4},
        {"clip_parts": True, "decoder_rate": 5.0},
        {"schedule": "step", "decay_every": 2},
    ],
    ids=str,
)
def test_every_way_to_train_resumes_exactly(
    pairs: Path, tmp_path: Path, training: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = options(24, training={"warmup": 0, "validate_every": 12, "save_every": 5, **training})
    run(pairs, tmp_path / "whole", config)
    real = loop.train_step

    def dying(now: Run, batch: object) -> object:
        if now.state.step == 17:
            raise KeyboardInterrupt
        return real(now, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "train_step", dying)
    with pytest.raises(KeyboardInterrupt):
        run(pairs, tmp_path / "parts", config)
    monkeypatch.undo()
    assert "resuming at step 15" in run(pairs, tmp_path / "parts", config)
    wanted = tensors(tmp_path / "whole")
    for name, tensor in tensors(tmp_path / "parts").items():
        assert torch.equal(tensor, wanted[name]), name
