"""One GPU in four minutes: every kind of model against its CPU twin, then speed and memory.

    python -m benchmarks.device [--device cuda] [--seconds 20] [--out benchmarks/results/device]

It needs nothing but a checkout and ``dragoman[train]``. With ``--device cpu`` every figure is
computed at a small size, so that the checks can run it. Writes ``OUT.json`` and ``OUT.md``; the
exit code is 1 where a kind of model differs from its twin, or a part of the report failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

import dragoman
from benchmarks import machine
from dragoman.config.options import Config, ModelOptions, SearchOptions
from dragoman.data.batches import Batch, assemble
from dragoman.data.source import IdPair, Source
from dragoman.model.build import build_model
from dragoman.model.network import TorchNetwork
from dragoman.model.output import Objective
from dragoman.model.seq2seq import Seq2Seq
from dragoman.search.batched import BatchedScorer
from dragoman.search.constraints import constraints_of
from dragoman.search.loop import search

KINDS: dict[str, dict[str, Any]] = {
    "gru": {},
    "lstm, 2 layers": {"cell": "lstm", "encoder_layers": 2, "decoder_layers": 2},
    "tanh rnn": {"cell": "rnn"},
    "no attention": {"attention": "none"},
    "bahdanau": {"attention": "bahdanau", "score": "concat"},
    "input feeding": {"input_feeding": True},
    "copy": {"copy": True},
    "residual, norm": {"encoder_layers": 3, "residual": True, "layer_norm": True},
    "directions summed": {"directions": "sum", "bridge": "copy"},
    "tied, shared": {"tied_output": True, "shared_embeddings": True},
    "transformer": {"family": "transformer"},
    "transformer, copy": {"family": "transformer", "copy": True},
    "hybrid": {"family": "hybrid"},
}
"""Options of each kind of model."""
OBJECTIVES = {
    "full": Objective(smoothing=0.1),
    "sampled": Objective(samples=64),
    "scheduled sampling": Objective(feeding="token", share=0.5),
}
CLOSE = 2e-3
"""Largest relative difference of losses and gradients in fp32. GPUs add in another order, and may
multiply in TF32 where they are told to; here they are not."""
WORDS = 8000
"""Vocabulary of the synthetic text of the speed figures."""


def ids(count: int, vocabulary: int, copy: bool) -> list[IdPair]:
    """Pairs of random ids; where words are copied, a source's word stands in its target."""
    random = np.random.default_rng(3)
    pairs = []
    for _ in range(count):
        length = int(random.integers(4, 20))
        source = random.integers(4, vocabulary, length).astype(np.int32)
        copies = np.append(source, 3).astype(np.int32) if copy else np.zeros(0, np.int32)
        target = random.integers(4, vocabulary, length).astype(np.int32)
        pairs.append((Source(source, copies), target))
    return pairs


def learned(
    model: Seq2Seq, batch: Batch, objective: Objective, low: bool
) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of a batch and the gradients, as float64 on the processor."""
    model.zero_grad(set_to_none=True)
    torch.manual_seed(7)
    device = next(model.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=low):
        loss = model(batch.to(device), objective)
    loss.total.backward()
    grads = {n: p.grad.double().cpu() for n, p in model.named_parameters() if p.grad is not None}
    return float(loss.total.detach()), grads


def twins(name: str, options: dict[str, Any], device: str, size: int) -> dict[str, Any]:
    """One kind of model on the device and on the processor: losses, gradients, translations."""
    vocabulary = 40 + 4 * size
    base = replace(ModelOptions(), embedding=size, hidden=size, dropout=0.0)
    chosen = replace(base, **options)
    torch.manual_seed(11)
    here = build_model(chosen, source_vocabulary=vocabulary, target_vocabulary=vocabulary)
    there = deepcopy(here).to(device)
    pairs = ids(24, vocabulary, chosen.copy)
    batch = assemble(pairs)
    full = OBJECTIVES["full"]
    (ours, grads), (theirs, others) = (learned(m, batch, full, low=False) for m in (here, there))
    norm = sum(float(grad.norm()) ** 2 for grad in grads.values()) ** 0.5
    gap = sum(float((grads[n] - others[n]).norm()) ** 2 for n in grads) ** 0.5
    low, _ = learned(there, batch, full, low=True)
    found: dict[str, Any] = {"kind": name, "loss": abs(theirs / ours - 1), "gradient": gap / norm}
    found["bf16 loss"] = abs(low / ours - 1)
    for title in ("sampled", "scheduled sampling"):  # each device draws by itself: it has to run
        loss, _ = learned(there, batch, OBJECTIVES[title], low=False)
        found[title] = bool(np.isfinite(loss))
    for beam in (1, 5):
        answers = [outputs(model, pairs, beam) for model in (here, there)]
        same = sum(a == b for a, b in zip(*answers, strict=True))
        found[f"equal outputs, beam {beam}"] = same / len(answers[0])
    close = max(found["loss"], found["gradient"]) < CLOSE and found["bf16 loss"] < 0.05
    found["right"] = close and found["sampled"] and found["scheduled sampling"]
    return found


def outputs(model: Seq2Seq, pairs: list[IdPair], beam: int) -> list[tuple[int, ...]]:
    """The best output of every source."""
    options = SearchOptions(beam=beam, n_best=1)
    sources = [source for source, _ in pairs]
    sentences = [((source,), constraints_of(options, source)) for source in sources]
    found = dict(search(BatchedScorer(TorchNetwork(model)), sentences, options))
    model.train()
    return [found[number][0].ids for number in range(len(sources))]


def waits(model: Seq2Seq, batch: Batch) -> int | None:
    """How often one step makes the program wait for the GPU; None on a processor."""
    device = next(model.parameters()).device
    if device.type != "cuda":
        return None
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    batch = batch.map(torch.Tensor.pin_memory)
    for _ in range(3):
        step(model, optimizer, batch, device)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step(model, optimizer, batch, device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in caught)


def step(
    model: Seq2Seq, optimizer: torch.optim.Optimizer, batch: Batch, device: torch.device
) -> None:
    """One update, as the training's step makes it."""
    model(batch.to(device), OBJECTIVES["full"]).total.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def kernels(model: Seq2Seq, batch: Batch) -> dict[str, float]:
    """Milliseconds of one forward and backward pass by library: cuDNN, products, the rest."""
    device = next(model.parameters()).device
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    batch = batch.to(device)
    model(batch, OBJECTIVES["full"]).total.backward()
    with profile(activities=activities) as seen:
        model(batch, OBJECTIVES["full"]).total.backward()
    parts = {"cudnn": 0.0, "products": 0.0, "rest": 0.0}
    for event in seen.key_averages():
        took = getattr(event, "self_device_time_total", 0) or event.self_cpu_time_total
        name = event.key.lower()
        products = ("gemm", "mm", "cutlass", "linear", "xmma")
        part = (
            "cudnn"
            if "cudnn" in name
            else "products"
            if any(p in name for p in products)
            else "rest"
        )
        parts[part] += took / 1000
    model.zero_grad(set_to_none=True)
    return {part: round(took, 3) for part, took in parts.items()}


def text(pairs: int) -> Iterator[str]:
    """Pairs of words that follow Zipf's law, the target being the source's words in other names."""
    random = np.random.default_rng(5)
    for _ in range(pairs):
        words = np.minimum(random.zipf(1.3, int(random.integers(6, 22))), WORDS)
        yield f"{' '.join(f's{w}' for w in words)}\t{' '.join(f't{w}' for w in words[::-1])}\n"


def speed(device: str, hidden: int, seconds: float, pairs: int, folder: Path) -> dict[str, Any]:
    """Training and decoding speed of W1's model (or with more units, W5's) on synthetic words."""
    file, out = folder / "pairs.tsv", folder / f"m{hidden}"
    if not file.exists():
        file.write_text("".join(text(pairs)))
    config = Config()
    model = replace(config.model, embedding=hidden // 2, hidden=hidden, dropout=0.2)
    report_every = 10 if device != "cpu" else 1
    asked = {"budget": f"{max(1, round(seconds))}s", "validation_sample": 0, "refit": False}
    asked |= {"report_every": report_every, "batch_tokens": 4096 if device != "cpu" else 512}
    training = replace(config.training, label_smoothing=0.0, **asked)
    sides = {
        side: replace(getattr(config, side), level="word", vocabulary=WORDS)
        for side in ("source", "target")
    }
    config = replace(config, model=model, training=training, **sides)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    dragoman.train(file, out, config)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rates = [row["tokens_per_second"] for row in rows if row["kind"] == "train"][1:]
    found = {
        "hidden": hidden,
        "target tokens a second": round(float(np.median(rates))) if rates else None,
        "slowest and fastest interval": [round(min(rates)), round(max(rates))] if rates else None,
    }
    if device != "cpu":
        found["peak memory, MB"] = round(torch.cuda.max_memory_allocated() / 1e6)
    lines = [
        line.split("\t")[0]
        for line in file.read_text().splitlines()[: 1024 if device != "cpu" else 64]
    ]
    loaded = dragoman.load(out, device=device)
    for beam in (1, 5):
        loaded.translate(lines[:8], beam=beam)
        began = time.perf_counter()
        answers = loaded.translate(lines, beam=beam)
        tokens = sum(len(answer.target_tokens) + 1 for answer in answers)
        found[f"decoded tokens a second, beam {beam}"] = round(
            tokens / (time.perf_counter() - began)
        )
    return found


def attempt(title: str, work: Callable[[], Any]) -> Any:
    """What ``work`` gives; an error becomes a part of the report, so that the rest still runs."""
    began = time.perf_counter()
    try:
        found = work()
    except Exception:
        found = {"error": traceback.format_exc(limit=4), "right": False}
    print(f"{title}: {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
    return found


def main() -> int:
    """Run everything and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=20, help="of each training")
    parser.add_argument("--pairs", type=int, default=40_000, help="of the synthetic text")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/device"))
    asked = parser.parse_args()
    gpu, began = asked.device != "cpu", time.perf_counter()
    size = 256 if gpu else 16
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    report: dict[str, Any] = {"machine": machine.description(torch.get_num_threads(), asked.device)}
    report["kinds"] = [
        {"kind": name} | attempt(name, lambda n=name, o=options: twins(n, o, asked.device, size))
        for name, options in KINDS.items()
    ]
    options = replace(ModelOptions(), embedding=size, hidden=2 * size, dropout=0.2)
    model = build_model(options, source_vocabulary=2000, target_vocabulary=2000).to(asked.device)
    batch = assemble(ids(64, 2000, copy=False))
    report["waits in a step"] = attempt("waits", lambda: waits(model, batch))
    report["milliseconds by library"] = attempt("kernels", lambda: kernels(model, batch))
    with TemporaryDirectory() as folder:
        report["speed"] = [
            attempt(
                f"{hidden} units",
                lambda h=hidden: speed(asked.device, h, asked.seconds, asked.pairs, Path(folder)),
            )
            for hidden in ((512, 1024) if gpu else (32,))
        ]
    report["seconds"] = round(time.perf_counter() - began, 1)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.with_suffix(".json").write_text(json.dumps(report, indent=1))
    asked.out.with_suffix(".md").write_text(markdown(report))
    print(markdown(report))
    parts = (*report["speed"], report["waits in a step"], report["milliseconds by library"])
    failed = any(isinstance(part, dict) and "error" in part for part in parts)
    return int(failed or not all(kind["right"] for kind in report["kinds"]))


def markdown(report: dict[str, Any]) -> str:
    """The report for people."""
    columns = ["loss", "gradient", "bf16 loss", "equal outputs, beam 1", "equal outputs, beam 5"]
    lines = [
        "# One device against its CPU twin",
        "",
        ", ".join(f"{name}: {value}" for name, value in report["machine"].items()),
        "",
        f"Differences are relative; those of losses and gradients in fp32 are below {CLOSE:g}.",
        "",
        f"| kind | {' | '.join(columns)} |",
        f"| --- {'| --- ' * len(columns)}|",
    ]
    for kind in report["kinds"]:
        cells = [f"{kind[c]:.2g}" if c in kind else "error" for c in columns]
        lines.append(f"| {kind['kind']} | {' | '.join(cells)} |")
    waits = report["waits in a step"]
    lines += ["", f"Waits for the GPU in a step: {'no GPU' if waits is None else waits}."]
    lines += [f"Milliseconds by library: {report['milliseconds by library']}.", ""]
    lines += [f"- {', '.join(f'{k}: {v}' for k, v in found.items())}" for found in report["speed"]]
    return "\n".join([*lines, "", f"Took {report['seconds']} s.", ""])


if __name__ == "__main__":
    sys.exit(main())
