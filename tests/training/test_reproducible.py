"""The same run again: the same numbers, with as many threads, resumed or not, prefetched or not."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console

from dragoman.config.options import Config, TrainingOptions
from dragoman.config.toml import merge
from dragoman.data.batches import ahead
from dragoman.training import loop, machine
from dragoman.training.machine import torch_settings
from dragoman.training.run import train


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """60 pairs of 2 to 13 words."""
    rows = [[f"w{(i * j) % 7}" for j in range(2 + i % 12)] for i in range(60)]
    lines = [f"{' '.join(r)}\t{' '.join(reversed(r))}" for r in rows]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "pairs.tsv"


def go(pairs: Path, out: Path, hidden: int = 16, **training: object) -> str:
    given = {
        "steps": 8,
        "batch_tokens": 300,
        "report_every": 1,
        "precision": "fp32",
        "warmup": 2,
        "validate_every": 99,
        "validation_sample": 2,
        "save_every": 4,
        "schedule": "constant",
    } | training
    model = {"embedding": 64, "hidden": hidden, "dropout": 0.2}
    config = merge(Config(), {"model": model, "training": given}, place="test")
    said = io.StringIO()
    train([pairs], out, config, console=Console(file=said, width=200))
    return said.getvalue()


def losses(out: Path) -> list[tuple[float, float]]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [(row["loss"], row["gradient_norm"]) for row in rows if row["kind"] == "train"]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_seed_precision_and_threads_decide_the_numbers(
    pairs: Path, tmp_path: Path, precision: str
) -> None:
    for name, fixed in (("one", False), ("other", True)):
        # A size for which torch shares the work of a product among its threads.
        go(
            pairs,
            tmp_path / name,
            128,
            threads=2,
            deterministic=fixed,
            precision=precision,
            steps=3,
        )
    assert len(losses(tmp_path / "one")) == 3
    assert losses(tmp_path / "one") == losses(tmp_path / "other")


def test_a_resumed_run_keeps_its_threads(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    real = loop.train_step
    monkeypatch.setattr(
        loop, "train_step", lambda *given: used.append(torch.get_num_threads()) or real(*given)
    )
    with torch_settings(TrainingOptions(threads=2)):
        go(pairs, tmp_path / "m", steps=4)
        torch.set_num_threads(1)
        go(pairs, tmp_path / "m", steps=6)
        go(pairs, tmp_path / "m", steps=8, threads=3)
    assert used == [2] * 6 + [3] * 2


def test_operations_of_a_fixed_order_are_asked_for_and_no_longer() -> None:
    threads = torch.get_num_threads()
    with torch_settings(TrainingOptions(threads=threads + 1)):
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == threads + 1
    with torch_settings(TrainingOptions(threads=threads, deterministic=True)):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads


def medium_is_coarse() -> bool:
    """Whether this processor rounds fp32 to bf16 where torch may: one with AMX does."""
    x = torch.randn(333, 333)
    torch.set_float32_matmul_precision("medium")
    found = torch.mm(x, x).double()
    torch.set_float32_matmul_precision("highest")
    return not torch.allclose(found, x.double() @ x.double(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("coarse", [False, True])
def test_products_on_an_amd_processor_are_fast_but_never_coarse(
    monkeypatch: pytest.MonkeyPatch, coarse: bool
) -> None:
    monkeypatch.setattr(machine, "environment", lambda: {"processor": "AMD EPYC"})
    never = coarse or medium_is_coarse() or torch.cuda.is_available()
    if coarse:  # as with units that round to bf16
        multiply = torch.Tensor.__matmul__

        def rounded(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return multiply(
                *((one.bfloat16() if x.dtype == torch.float32 else one) for one in (x, y))
            )

        monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    before, (x, weight) = torch.get_float32_matmul_precision(), torch.randn(2, 333, 333)
    with torch_settings(TrainingOptions(threads=1)):
        asked = torch.get_float32_matmul_precision()
        assert asked == (before if never else "medium")
        products = {
            "linear": torch.nn.functional.linear(x, weight.t()),
            "mm": torch.mm(x, weight),
            "bmm": torch.bmm(x[None], weight[None])[0],
            "addmm": torch.addmm(torch.zeros(333), x, weight),
        }
    for name, product in products.items():
        torch.testing.assert_close(
            product.double(), torch.mm(x.double(), weight.double()), rtol=0, atol=3e-4, msg=name
        )
    assert torch.get_float32_matmul_precision() == before


def test_batches_made_ahead_are_the_same(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(pairs, tmp_path / "plain")
    real = loop.batches_of_epoch
    monkeypatch.setattr(loop, "batches_of_epoch", lambda run: ahead(real(run)))
    go(pairs, tmp_path / "ahead", steps=4)
    go(pairs, tmp_path / "ahead")
    assert losses(tmp_path / "ahead") == losses(tmp_path / "plain")
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]


def test_one_item_is_made_while_another_is_in_use() -> None:
    asked: list[threading.Event] = [threading.Event() for _ in range(3)]

    def made() -> Iterator[int]:
        for number, event in enumerate(asked):
            event.set()
            yield number
        raise ValueError("damaged")

    items = ahead(made())
    assert next(items) == 0 and asked[1].wait(10) and not asked[2].is_set()
    assert next(items) == 1 and next(items) == 2
    with pytest.raises(ValueError, match="damaged"):
        next(items)
    assert list(ahead([])) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_the_thread_ends_with_the_caller(error: type[BaseException]) -> None:
    items = ahead(iter(range(10**6)))
    assert next(items) == 0
    with pytest.raises(error):
        items.throw(error)  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]
