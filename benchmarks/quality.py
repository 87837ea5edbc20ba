"""Test BLEU over wall time: the models that a program leaves behind while it trains, scored.

    python -m benchmarks.quality multi30k [--programs dragoman eole] [--budget 15] [--OPTION ...]

The clock runs from the command on: reading, validating and saving count, scoring does not.
Options not known here go to ``dragoman train``. Writes ``results/quality-W.json`` and ``.png``.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import sacrebleu

from benchmarks import machine
from benchmarks.program import CACHE, PROGRAMS, RunError, Training, last_words, parser, stop
from benchmarks.words import Words, make_words, tokenize
from benchmarks.workloads import WORKLOADS

SAVE_EVERY = 500
"""eole's steps between two checkpoints, and validations."""
MOST = 12
"""Models of a program that are scored."""


def watch(name: str, training: Training, ours: list[str]) -> list[tuple[float, Path]]:
    """Train until the budget is used up; the models that appeared, with their times.

    Dragoman's folder holds its best weights so far: it is copied whenever they change. eole leaves
    a folder a checkpoint.
    """
    program = PROGRAMS["dragoman-quality" if name == "dragoman" else name]
    began, process = time.time(), program.start(training, tuple(ours) if name == "dragoman" else ())
    model, models = training.folder / "model", dict[float, Path]()

    def look() -> None:
        weights = model / "model.safetensors"
        if name == "eole":
            found = model.glob("step_*/config.json")
            models.update({path.stat().st_mtime: path.parent for path in found})
        elif weights.exists() and (when := weights.stat().st_mtime) not in models:
            models[when] = training.folder / f"model-{len(models)}"
            models[when].mkdir()
            for file in ("config.toml", "source.json", "target.json", weights.name):
                shutil.copy(model / file, models[when])

    try:
        while process.poll() is None and time.time() - began < training.budget + 30:
            time.sleep(0.5)
            look()
    finally:
        stop(process)
    look()
    if not models:
        raise RunError(f"{name} left no model: {last_words(training.folder)}")
    every = -(-len(models) // MOST)
    return [(when - began, models[when]) for when in sorted(models, reverse=True)[::every]][::-1]


def bleu(name: str, training: Training, model: Path) -> float:
    """BLEU of a model's translations of the test set, beam 5, over the tokens of the words."""
    source = training.words.file("test", "src")
    return bleu_of(PROGRAMS[name].translate(training, source, 5, model).lines, training.words)


def bleu_of(answers: list[str], words: Words) -> float:
    """BLEU of answers to the first lines of the test set, over tokens; more are left aside."""
    references = [" ".join(line) for line in words.sentences("test", "tgt")[: len(answers)]]
    outputs = [" ".join(tokenize(line)) for line in answers[: len(references)]]
    return sacrebleu.corpus_bleu(outputs, [references], tokenize="none", force=True).score


def draw(curves: dict[str, list[tuple[float, float]]], title: str, path: Path) -> None:
    """BLEU over minutes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, points in curves.items():
        axes.plot([s / 60 for s, _ in points], [b for _, b in points], marker="o", label=name)
    axes.set(title=title, xlabel="minutes of wall time", ylabel="test BLEU, beam 5")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> int:
    """Train each program in turn, score, draw."""
    made = parser(__doc__)
    made.add_argument("workload", choices=("multi30k", "tatoeba"))
    made.add_argument("--programs", nargs="+", choices=("dragoman", "eole"), default=["dragoman"])
    made.add_argument("--budget", type=float, default=15.0, help="minutes of each program")
    asked, ours = made.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    w = WORKLOADS[asked.workload]
    words = make_words(w.words, asked.data, CACHE / "words" / w.words)
    curves, missing = dict[str, list[tuple[float, float]]](), dict[str, str]()
    if (load := machine.busy()) > machine.BUSY:
        print(f"{load:.1f} cores are busy with other work: times will be too long", file=sys.stderr)
    for name in asked.programs:
        if why := PROGRAMS[name].absent:
            missing[name] = why
            continue
        with TemporaryDirectory(prefix="dragoman-bench-", ignore_cleanup_errors=True) as folder:
            training = Training(
                w,
                words,
                Path(folder),
                asked.threads,
                budget=60 * asked.budget,
                save_every=SAVE_EVERY,
            )
            try:
                for seconds, model in watch(name, training, ours):
                    score = bleu(name, training, model)
                    curves.setdefault(name, []).append((seconds, score))
                    print(f"  {name} {seconds / 60:5.1f} min: BLEU {score:.1f}", flush=True)
            except RunError as error:
                missing[name] = str(error)
    asked.out.mkdir(parents=True, exist_ok=True)
    stem = asked.out / f"quality-{w.name}"
    result = {
        "machine": machine.description(asked.threads, "cpu"),
        "busy_before": load,
        "dragoman_options": ours,
        "curves": curves,
        "missing": missing,
    }
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    draw(curves, w.summary, stem.with_suffix(".png"))
    best = {name: max(points, key=lambda point: point[1]) for name, points in curves.items()}
    parts = [f"{name} {score:.1f} after {s / 60:.1f} min" for name, (s, score) in best.items()]
    parts += [f"{name} {why}" for name, why in missing.items()]
    print(f"{w.name} quality: {', '.join(parts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
