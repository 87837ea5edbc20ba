"""The glass box: every value is the forward pass's own, and the sums are right."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import dragoman
from dragoman.api import Model
from dragoman.config.options import Config, DataOptions, ModelOptions, SideOptions, TrainingOptions
from dragoman.data.batches import Batch, assemble
from dragoman.data.setup import load_weights
from dragoman.data.source import Source
from dragoman.data.tokenizer import EOS
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import DataError, UsageError
from dragoman.inspection.explain import record
from dragoman.inspection.explanation import Explanation
from dragoman.model.folder import ModelFolder
from dragoman.model.output import Objective
from dragoman.search.aids import Aids, Memory, Terms
from dragoman.search.keep import pattern_of
from tiny import VOCABULARY, tiny_model

Floats = npt.NDArray[np.float64]

QUESTIONS = [
    ("what is the color of banana", "yellow most of the time"),
    ("what makes up water molecules", "hydrogen and oxygen"),
]
WORDS = SideOptions(level="word")
QUESTION_ANSWER = Config(
    data=DataOptions(validation=0),
    source=WORDS,
    target=WORDS,
    model=ModelOptions(
        cell="rnn",
        embedding=5,
        hidden=32,
        bidirectional=False,
        attention="none",
        bridge="copy",
        shared_embeddings=True,
        dropout=0.0,
    ),
    training=TrainingOptions(
        steps=21,
        learning_rate=0.01,
        schedule="constant",
        warmup=0,
        label_smoothing=0.0,
        precision="fp32",
        validate_every=1000,
        show_every=10,
    ),
)


@pytest.fixture(scope="module")
def question_answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model trained on two questions, and what its training showed."""
    place = tmp_path_factory.mktemp("qa")
    pairs = "".join(f"{question}\t{answer}\n" for question, answer in QUESTIONS)
    (place / "qa.tsv").write_text(pairs, encoding="utf-8")
    shown = io.StringIO()
    dragoman.train(place / "qa.tsv", place / "m", QUESTION_ANSWER, console=Console(file=shown))
    return place / "m", shown.getvalue()


def by_hand(model: Model) -> tuple[Floats, Floats, Floats]:
    """Loss of each position, mask, and batch loss of the two questions, in plain NumPy."""
    named = load_weights(model.folder.path, model.folder.source, model.folder.target)
    weights = {name: values.astype(np.float64) for name, values in named.items()}
    table = next(w for n, w in weights.items() if n.endswith("embedding.weight"))
    rnn = {
        side: [
            next(w for n, w in weights.items() if n.startswith(side) and n.endswith(last))[0]
            for last in ("weight_input", "weight_hidden", "bias")
        ]
        for side in ("encoder", "decoder")
    }
    longest = 1 + max(len(answer.split()) for _, answer in QUESTIONS)
    losses, mask = np.zeros((2, longest)), np.zeros((2, longest))
    for b, (question, answer) in enumerate(QUESTIONS):
        (source,) = model.folder.source.encode([question])
        (target,) = model.folder.target.encode([answer])
        h = np.zeros(32)
        inputs, recurrent, bias = rnn["encoder"]
        for token in [*source, EOS]:
            h = np.tanh(inputs @ table[token] + recurrent @ h + bias)
        inputs, recurrent, bias = rnn["decoder"]
        reads, says = [2, *target], [*target, EOS]
        reads += [0] * (longest - len(reads))
        says += [0] * (longest - len(says))
        for t, (read, said) in enumerate(zip(reads, says, strict=True)):
            h = np.tanh(inputs @ table[read] + recurrent @ h + bias)
            scores = weights["output.weight"] @ h + weights["output.bias"]
            losses[b, t] = np.log(np.exp(scores).sum()) - scores[said]
            mask[b, t] = t <= len(target)
    return losses, mask, (losses * mask).sum() / mask.sum()


def test_losses_of_two_questions_are_those_worked_by_hand(
    question_answer: tuple[Path, str],
) -> None:
    model = dragoman.load(question_answer[0])
    found = model.explain_pairs(QUESTIONS)
    losses, mask, batch_loss = by_hand(model)
    assert found["source mask"].astype(int).tolist() == [[1] * 7, [1] * 6 + [0]]
    assert found["target mask"].astype(int).tolist() == [[1] * 6, [1] * 4 + [0] * 2]
    np.testing.assert_array_equal(found["target mask"], mask)
    np.testing.assert_allclose(found["loss"], losses, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["masked loss"], losses * mask, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["batch loss"], batch_loss, rtol=0, atol=1e-5)
    for b, example in enumerate(found.examples):
        assert example.text == QUESTIONS[b][0]
        assert [step.loss for step in example.steps] == found["loss"][b].tolist()
        assert [step.real for step in example.steps] == found["target mask"][b].tolist()
    assert found.examples[1].source[-1].text == "<pad>"


def test_training_shows_the_same_pairs_again_and_again(question_answer: tuple[Path, str]) -> None:
    folder, shown = question_answer
    losses = [float(line.split()[2]) for line in shown.split("\n") if "nats, mean of 10" in line]
    assert len(losses) == 3 and losses[0] > losses[1] > losses[2]  # before steps 1, 11 and 21
    assert "what is the color of banana" in shown and "hydrogen" in shown
    assert all(len(line) <= 80 for line in shown.split("\n") if line.startswith(("value", "loss")))
    quiet = replace(QUESTION_ANSWER.training, show_every=0)  # not another run
    outcome = dragoman.train(
        folder.parent / "qa.tsv", folder, replace(QUESTION_ANSWER, training=quiet)
    )
    assert outcome.reason == "21 steps done"


def test_showing_changes_nothing(question_answer: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = question_answer
    quiet = replace(QUESTION_ANSWER, training=replace(QUESTION_ANSWER.training, show_every=0))
    dragoman.train(folder.parent / "qa.tsv", tmp_path / "m", quiet, console=Console(quiet=True))
    shown, unseen = (load_file(f / "model.safetensors") for f in (folder, tmp_path / "m"))
    assert all(torch.equal(tensor, unseen[name]) for name, tensor in shown.items())


EVERY = [
    {"cell": "gru", "attention": "luong", "score": "general"},
    {"cell": "lstm", "attention": "luong", "score": "dot", "input_feeding": True},
    {"cell": "rnn", "attention": "bahdanau", "score": "concat", "decoder_layers": 2},
    {"cell": "lstm", "attention": "bahdanau", "score": "scaled_dot", "encoder_layers": 2},
    {"cell": "gru", "attention": "luong", "score": "concat", "directions": "sum"},
    {"cell": "gru", "attention": "none", "reverse_source": True, "bidirectional": False},
    {
        "cell": "gru",
        "attention": "luong",
        "encoder_layers": 3,
        "decoder_layers": 3,
        "residual": True,
        "layer_norm": True,
    },
    {"cell": "gru", "attention": "bahdanau", "copy": True},
    {
        "cell": "lstm",
        "attention": "luong",
        "shared_embeddings": True,
        "tied_output": True,
        "embedding": 34,
        "bridge": "zero",
    },
]


def batch_of(*lengths: tuple[int, int], copy: bool = False) -> Batch:
    """Pairs of ids of these lengths, by formula; with ``copy`` each source brings two words."""
    rows = [[np.arange(n, dtype=np.int32) * 7 % 19 + 4 for n in pair] for pair in lengths]
    sources, targets = zip(*rows, strict=True)
    read = [Source(ids) for ids in sources]
    if copy:
        copies = [np.arange(len(s) + 1, dtype=np.int32) % 2 + VOCABULARY for s in sources]
        read = [Source(*one) for one in zip(sources, copies, strict=True)]
        targets[0][1] = VOCABULARY + 1
    return assemble(zip(read, targets, strict=True))


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_values_of_every_model(options: dict[str, object]) -> None:
    model = tiny_model(torch.float64, **options)
    copy = bool(options.get("copy"))
    batch = batch_of((6, 3), (2, 4), (5, 1), copy=copy)
    values = {name: value.array for name, value in record(model, batch).items()}
    for name, value in record(model, batch).items():
        sizes = {"B": 3, "S": 7, "T": 5, "V": VOCABULARY + 2 * copy}
        for letter, size in zip(value.axes.split(), value.array.shape, strict=True):
            assert size == sizes.get(letter, size), name
    mask = values["source mask"]
    if options["attention"] != "none":
        np.testing.assert_allclose(values["weights"].sum(-1), 1, atol=1e-12)
        assert (values["weights"][~np.broadcast_to(mask[:, None], (3, 5, 7))] == 0).all()
        energies = np.where(mask[:, None], values["energies"], -np.inf)
        shares = np.exp(energies - energies.max(-1, keepdims=True))
        np.testing.assert_allclose(
            values["weights"], shares / shares.sum(-1, keepdims=True), atol=1e-12
        )
        context = np.einsum("bts,bsh->bth", values["weights"], values["encoder states"])
        np.testing.assert_allclose(values["context"], context, atol=1e-12)
    # What the steps gave leads to the very losses of the target unrolled.
    last = "features" if options["attention"] == "none" else "attentional vector"
    weights = torch.from_numpy(values["weights"]) if "weights" in values else None
    stepped = model.scores(torch.from_numpy(values[last]), weights, batch.copies).detach().numpy()
    np.testing.assert_allclose(stepped, values["log-probabilities"], atol=1e-10)
    if copy:
        gate = values["copying gate"]
        assert gate.shape == (3, 5) and ((gate > 0) & (gate < 1)).all()
        copied = np.exp(values["log-probabilities"][..., VOCABULARY:]).sum(-1)
        np.testing.assert_allclose(copied, 1 - gate, atol=1e-12)  # nothing else is to be copied
    masked = values["masked loss"].sum() / values["target mask"].sum()
    np.testing.assert_allclose(values["batch loss"], masked, rtol=1e-12)
    if not copy:
        mean = values["log-probabilities"].mean(-1)[values["target mask"]].mean()
        with torch.no_grad():
            sums = model(batch, Objective(smoothing=0.1))
        smoothed = (sums.total / sums.tokens).numpy()
        np.testing.assert_allclose(smoothed, 0.9 * masked - 0.1 * mean, rtol=1e-12)


@pytest.mark.parametrize(
    ("weight", "first", "last"),
    [
        ("encoder.embedding.weight", "source embeddings", "attentional vector"),
        ("decoder.attention.key.weight", "energies", "context"),
        ("decoder.combine.weight", "attentional vector", "masked loss"),
        ("output.bias", "log-probabilities", "loss"),
    ],
)
def test_a_changed_weight_changes_what_comes_after_it_and_nothing_before(
    weight: str, first: str, last: str
) -> None:
    model, batch = tiny_model(score="general"), batch_of((6, 3), (2, 4))
    before = record(model, batch)
    with torch.no_grad():
        dict(model.named_parameters())[weight].mul_(1.5)
    after = record(model, batch)
    changed = [n for n in before if not np.array_equal(before[n].array, after[n].array)]
    assert changed[0] == first and last in changed


def test_recording_leaves_the_model_as_it_was() -> None:
    model = tiny_model(attention="luong").train()
    parts = [set(vars(part)) for part in model.modules()]
    record(model, batch_of((3, 2)))
    assert model.training and [set(vars(part)) for part in model.modules()] == parts


SIDES = ("source", "target")
TEXTS = ["le vieux chat blanc", "un chat noir !", "la vieille gare", "le pain <b> & co"]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    """A model that was never trained, with real tokenizers."""
    tokenizer = train_tokenizer(TEXTS, SideOptions(level="word", vocabulary=VOCABULARY))
    torch.manual_seed(3)
    yield Model(folder_of(tokenizer))


def folder_of(tokenizer: object) -> ModelFolder:
    network = tiny_model(torch.float32, attention="luong")
    size = len(tokenizer)  # type: ignore[arg-type]
    assert size <= VOCABULARY
    sides = {"source": 20, "target": 10}
    config = Config(**{n: replace(Config().source, max_tokens=most) for n, most in sides.items()})
    with torch.no_grad():
        network.output.bias[size:] = -1e4  # words that the tokenizer does not have
        network.output.bias[EOS] += 1.0
    return ModelFolder(Path(), config, network, tokenizer, tokenizer)  # type: ignore[arg-type]


def test_a_sentence_follows_what_search_found(model: Model) -> None:
    found = model.explain("le chat zzz", beam=3)
    (example,) = found.examples
    assert [t.text for t in example.source] == ["▁le", "▁chat", "<unk>", "</s>"]
    assert [t.stands_for for t in example.source] == ["", "", "zzz", ""]
    answer = model.translate(["le chat zzz"], beam=3, attention=True)[0]
    best = answer.hypotheses[0]
    assert found.answer is not None and found.answer.text == answer.text and not found.given
    real = [step for step in example.steps if step.real]
    assert [step.expected.id for step in real] == [*best.ids, *[EOS] * best.complete]
    assert -sum(step.loss for step in real) == pytest.approx(best.log_prob, abs=1e-4)
    assert best.weights is not None
    np.testing.assert_allclose(
        [step.weights for step in real], best.weights[:, : len(example.source)], atol=1e-5
    )
    for step in example.steps:
        probabilities = [p for _, p in step.candidates]
        assert probabilities == sorted(probabilities, reverse=True) and len(probabilities) == 5


@pytest.mark.parametrize(
    "options", [{"beam": 3}, {"beam": 60}, {"beam": 4, "temperature": 1.0}, {"beam": 1}], ids=str
)
def test_the_beam_is_what_search_went_through(model: Model, options: dict[str, Any]) -> None:
    found = model.explain("le vieux chat", **options)
    assert found.answer is not None
    json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    before: list[tuple[int, ...]] = []
    paths = set()
    for step in found.beam:
        assert 1 <= len(step) <= options["beam"]
        beginning = all(one.parent == -1 for one in step)
        ids = [() if beginning else (*before[one.parent], one.token.id) for one in step]
        for path, one in zip(ids, step, strict=True):
            (log_prob,) = record_of(model, "le vieux chat", path) if path else [0.0]
            assert one.log_prob == pytest.approx(log_prob, abs=1e-3)
        before = ids
        paths |= {*ids}
    for hypothesis in found.answer.hypotheses:  # each ended as an extension of an open one
        cut = hypothesis.ids if hypothesis.complete else hypothesis.ids[:-1]
        assert cut in paths


def record_of(model: Model, line: str, ids: tuple[int, ...]) -> list[float]:
    """The log-probability of a beginning, by forced decoding."""
    (source,) = model.folder.source.encode([line])
    batch = assemble([(Source(source), np.array(ids, np.int32))])
    return [-float(record(model.torch_folder("recorded").model, batch)["loss"].array[0, :-1].sum())]


@pytest.mark.parametrize("options", [{"temperature": 1.0}, {"temperature": 0.7, "beam": 1}])
def test_drawn_outputs_are_explained(model: Model, options: dict[str, Any]) -> None:
    found = model.explain("le vieux chat", **options)
    assert found.answer is not None
    hypotheses = found.answer.hypotheses
    assert len(hypotheses) <= options.get("beam", 5) and np.isfinite(found["batch loss"])
    real = [step for step in found.examples[0].steps if step.real]
    assert -sum(step.loss for step in real) == pytest.approx(hypotheses[0].log_prob, abs=1e-4)
    assert hypotheses[0].log_prob == max(h.log_prob for h in hypotheses)


def test_what_a_user_knows_better_is_explained_with_it(model: Model) -> None:
    aids = Aids(Memory([("le chat", "x")]), Terms({"chat": ("noir",)}), pattern_of(["usual"]))
    found, line = model.explain("le chat {0}", aids=aids), "le chat {0}"
    answer = model.translate([line], aids=aids)[0]
    assert found.answer is not None and found.answer.text == answer.text
    assert "noir" in answer.text and "{0}" in answer.text  # the model has not read {0}
    assert [token.text for token in found.examples[0].source] == ["▁le", "▁chat", "</s>"]
    real = [step for step in found.examples[0].steps if step.real]
    best = answer.hypotheses[0].log_prob
    assert -sum(step.loss for step in real) == pytest.approx(best, abs=1e-4)
    with pytest.raises(DataError, match=r"memory answers this sentence \(explain it without"):
        model.explain("le chat", aids=aids)
    with pytest.raises(DataError, match="the sentence has 0 tokens"):
        model.explain("{0}", aids=aids)


def test_an_ensemble_is_not_explained(model: Model) -> None:
    both = Model(model.folder, [model.folder])
    for explain in (lambda: both.explain("le chat"), lambda: both.explain_pairs([("le", "un")])):
        with pytest.raises(
            UsageError, match="an ensemble of 2 models cannot be explained .take one"
        ):
            explain()


def test_a_target_is_followed_and_predictions_stand_beside_it(model: Model) -> None:
    found = model.explain("le chat", "un chat noir")
    assert found.given and found.answer is not None
    assert [s.expected.text for s in found.examples[0].steps] == ["▁un", "▁chat", "▁noir", "</s>"]
    assert found.answer.text == model.translate(["le chat"])[0].text


@pytest.mark.parametrize(
    ("line", "target", "message"),
    [
        (" ", None, "the sentence has 0 tokens as the model reads it"),
        ("le chat", "", "the target has 0 tokens"),
        ("le " * 21, None, "the sentence has 21 tokens .*takes 1 to 20"),
        ("le chat", "un " * 11, "the target has 11 tokens .*takes 1 to 10"),
    ],
)
def test_what_cannot_be_explained(
    model: Model, line: str, target: str | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        model.explain(line, target)


def test_a_copied_word_has_its_own_name(model: Model) -> None:
    network = tiny_model(torch.float32, attention="luong", copy=True)
    network.copying.vocabulary = len(model.folder.target)  # type: ignore[union-attr]
    with torch.no_grad():
        network.copying.gate.bias.fill_(-9.0)  # type: ignore[union-attr]
    config = replace(model.config, model=replace(model.config.model, copy=True))
    folder = replace(model.folder, model=network, config=config)
    with pytest.raises(UsageError, match="there is no pair to explain"):
        Model(folder).explain_pairs([])
    first, second = Model(folder).explain_pairs([("le zzz", "un zzz"), ("chat", "noir")]).examples
    assert first.steps[1].expected.text == "zzz" and first.steps[2].reads.text == "zzz"
    assert "zzz" in [token.text for token, _ in first.steps[0].candidates[:3]]
    found = Model(folder).explain("le zzz", beam=2)
    assert found.answer is not None and not found.given
    real = [step for step in found.examples[0].steps if step.real]
    words = [step.expected.text for step in real if step.expected.text != "</s>"]
    assert [w.lstrip("▁") for w in found.answer.target_tokens] == [w.lstrip("▁") for w in words]
    assert "zzz" in words
    best = found.answer.hypotheses[0].log_prob
    assert -sum(step.loss for step in real) == pytest.approx(best, abs=1e-4)
    assert [s.expected.text for s in second.steps] == ["▁noir", "</s>", "<pad>"]


def shown(found: Explanation, *, width: int = 80, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, **options)  # type: ignore[arg-type]
    console.print(found)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_view_has_every_stage_and_fits(model: Model) -> None:
    text = shown(model.explain("le chat zzz", "un chat noir"))
    for part in ("Text", "Values", "Step by step", "Loss"):
        assert f"{part} ──" in text
    assert "<unk> (zzz)" in text and "energy" in text and "likely" in text and "█" in text
    assert max(map(len, text.split("\n"))) <= 80
    assert "\x1b" not in text
    assert "\x1b[36m" in shown(model.explain("le chat"), force_terminal=True)


def test_markup_and_other_scripts_in_the_terminal(model: Model) -> None:
    assert "[bold]le[/] القطة 猫 🚀" in shown(model.explain("[bold]le[/] القطة 猫 🚀"))
    assert "\u200e<unk> (القطة)\u200e" in shown(model.explain("القطة"))


def test_a_sentence_of_sixty_tokens_fits_into_eighty_columns(model: Model) -> None:
    long = {side: replace(model.folder.config.source, max_tokens=60) for side in SIDES}
    folder = replace(model.folder, config=replace(model.folder.config, **long))
    text = shown(Model(folder).explain("le chat " * 30, "un chat " * 30))
    assert max(map(len, text.split("\n"))) <= 80 and "61 " in text


def test_json_holds_every_value_but_the_whole_distribution(model: Model) -> None:
    found = model.explain("le <b> & 猫", "un chat")
    data = json.loads(found.to_json())
    assert data["values"]["log-probabilities"]["shape"] == list(found["log-probabilities"].shape)
    assert "values" not in data["values"]["log-probabilities"]
    np.testing.assert_allclose(data["values"]["weights"]["values"], found["weights"])
    assert data["examples"][0]["steps"][0]["reads"] == {"id": 2, "text": "<s>", "stands_for": ""}
    assert data["loss"] == pytest.approx(float(found["batch loss"]))
    assert data["given"] and data["answer"]["hypotheses"][0]["log_prob"] < 0


def test_the_page_stands_alone(model: Model) -> None:
    found = model.explain("le </script><script>alert(1)</script>")
    page = found.to_html()
    assert page.count("<script") == 2 and page.count("</script>") == 2
    assert "http://" not in page and "https://" not in page
    data = page.split('id="data">', 1)[1].split("</script>", 1)[0]
    assert json.loads(data)["examples"][0]["text"] == "le </script><script>alert(1)</script>"


@pytest.mark.slow
def test_a_browser_shows_the_page(model: Model, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if browser is None:
        pytest.skip("needs Chromium")
    page = tmp_path / "page.html"
    page.write_text(model.explain("le chat \u05d1 zzz", "un chat noir").to_html(), "utf-8")
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    shown = done.stdout.decode()
    assert "CONSOLE" not in done.stderr.decode()
    steps = ("1 ", "2 ", "3 ", "4 ")
    assert [s for s in steps if f"<details><summary><small>{s}</small>" in shown] == list(steps)
    assert shown.count('title="▁chat ← ▁le: ') == 1 and "&lt;unk&gt; (zzz)" in shown
    assert "batch loss" in shown and "<th>log-probability</th>" in shown
