"""The file for reading computes what the package computes."""

from __future__ import annotations

import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from dragoman.data.batches import make_batch
from dragoman.data.tokenizer import BOS, EOS
from dragoman.model.output import Objective
from dragoman.model.recurrent.layer import Layer
from dragoman.model.seq2seq import Seq2Seq
from tiny import EMBEDDING, HIDDEN, TARGET, VOCABULARY, tiny_model

FILE = Path(__file__).resolve().parents[2] / "examples" / "one_file.py"


@pytest.fixture(scope="module")
def one_file() -> ModuleType:
    spec = spec_from_file_location("one_file", FILE)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fill(gru: nn.GRU, layer: Layer) -> None:
    """The package's layout of a GRU, as torch's: only the new gate has a bias inside."""
    for direction in range(layer.directions):
        end = "_reverse" if direction else ""
        inner = torch.zeros_like(layer.bias[direction])
        inner[2 * layer.hidden :] = layer.bias_new[direction]
        for name, value in (
            ("weight_ih_l0", layer.weight_input),
            ("bias_ih_l0", layer.bias),
            ("weight_hh_l0", layer.weight_hidden),
        ):
            getattr(gru, name + end).data = value[direction].detach().clone()
        getattr(gru, f"bias_hh_l0{end}").data = inner.detach()


def plain(one_file: ModuleType, model: Seq2Seq) -> nn.Module:
    """The plain model with the weights of ``model``."""
    twin = one_file.Translator(VOCABULARY, VOCABULARY, EMBEDDING, HIDDEN).double().eval()
    fill(twin.encoder.rnn, next(iter(model.encoder.layers)))
    fill(twin.decoder.rnn, next(iter(model.decoder.layers)))
    attention = model.decoder.attention
    for mine, theirs in (
        (twin.encoder.embedding, model.encoder.embedding),
        (twin.decoder.embedding, model.decoder.embedding),
        (twin.decoder.bridge, model.bridge.linear),
        (twin.decoder.key, attention.key),
        (twin.decoder.combine, model.decoder.combine),
        (twin.decoder.output, model.output),
    ):
        mine.weight.data = theirs.weight.detach().clone()
        if getattr(mine, "bias", None) is not None:
            mine.bias.data = theirs.bias.detach().clone()
    return twin


@pytest.mark.slow
def test_the_loss_is_the_packages(
    one_file: ModuleType, source: Tensor, mask: Tensor, target: Tensor
) -> None:
    model = tiny_model()
    twin = plain(one_file, model)
    lengths = torch.tensor([TARGET, 2, 5, 1, 7])
    real = torch.arange(TARGET) < lengths.unsqueeze(1)
    answers = target.roll(-1, 1) * real
    answers[torch.arange(len(lengths)), lengths - 1] = EOS
    begin = torch.full_like(answers[:, :1], BOS)
    read = torch.cat((begin, answers[:, :-1]), 1)
    expected = model(make_batch(source, mask, read, answers, real), Objective())
    total, count = twin.loss(source, answers)
    assert int(count) == int(lengths.sum())
    torch.testing.assert_close(total, expected.total, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_it_learns(tmp_path: Path, python_command: list[str]) -> None:
    words = {"un": "one", "deux": "two", "trois": "three", "quatre": "four"}
    rows = [
        (f"{a} {b} {c}", f"{words[c]} {words[b]} {words[a]}")
        for a in words
        for b in words
        for c in words
    ]
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{a}\t{b}\n" for a, b in rows * 12), encoding="utf-8")
    command = [*python_command, str(FILE), str(pairs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    last = done.stdout.split("epoch 10:")[1].splitlines()
    assert [line[4:] for line in last if line.startswith("  =")] == [
        line[4:] for line in last if line.startswith("  <")
    ]
