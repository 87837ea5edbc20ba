"""Rows in which another program trains: its own command, the words and sizes of a workload.

Programs, words and workloads are those of :mod:`benchmarks.program`. All programs have the same
words, sizes and number of steps, so that scores and minutes can be held side by side.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sacrebleu

from benchmarks import machine
from benchmarks.board.cost import Meter
from benchmarks.board.rows import Row, commit
from benchmarks.program import CACHE, PROGRAMS, RunError, Training
from benchmarks.words import make_words, tokenize
from benchmarks.workloads import WORKLOADS


def peer_run(row: Row, data: Path, folder: Path) -> dict[str, Any]:
    """Have ``row.program`` train and translate the test set; returns the record.

    Raises:
        RunError: the program is not installed, or it fails.
    """
    program, workload = PROGRAMS[row.program], WORKLOADS[row.workload]
    if why := program.absent:
        raise RunError(f"{row.program} is {why}")
    words = make_words(workload.words, data, CACHE / "words" / workload.words)
    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1
    training = Training(workload, words, folder, threads, steps=row.steps)
    meter, made_by = Meter(), commit()
    program.train(training)
    load = meter.read()
    answers = program.translate(training, words.file("test", "src"), beam=5)
    references = [" ".join(line) for line in words.sentences("test", "tgt")]
    outputs = [" ".join(tokenize(line)) for line in answers.lines]
    metric = sacrebleu.BLEU(tokenize="none", force=True)
    score = metric.corpus_score(outputs, [references], n_bootstrap=1000)
    found = {
        "name": "BLEU",
        "value": score.score,
        "signature": str(metric.get_signature()),
        "interval": [score._mean - score._ci, score._mean + score._ci],
    }
    test = {"lines": len(outputs), "search": "beam:5", "scores": {"BLEU": found}, "baselines": {}}
    # Some programs keep the optimizer's state in the same file.
    weights = [
        path for path in folder.rglob("*") if path.suffix in (".safetensors", ".pt", ".ckpt")
    ]
    return {
        "language": "",
        "seed": 1,
        "row": row.identity,
        "commands": [" ".join(program.spec["command"].split())],
        "tests": {"test 2016, tokens in lower case": test},
        "measures": {},
        "watched": {},
        "steps": row.steps,
        "minutes": round(load.seconds / 60, 3),
        "others": round(load.others, 2),
        "model_bytes": max((path.stat().st_size for path in weights), default=0),
        "sentences_per_second": round(len(outputs) / answers.seconds, 1),
        "precision": program.precision,
        "machine": machine.description(threads, "cpu"),
        "version": " ".join(program.spec["packages"][:1]) or "dragoman",
        "commit": made_by,
    }
