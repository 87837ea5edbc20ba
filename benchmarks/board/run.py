"""Runs a row by Dragoman's command line, and keeps what came of each training at once.

``results/ROW.json`` holds one record for each language and seed. A training that was interrupted
is begun anew, so that its minutes are those of one run; records that are there already stay.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import dragoman
from benchmarks import machine
from benchmarks.board.cost import Load, Meter
from benchmarks.board.data import Files, make_files
from benchmarks.board.peers import peer_run
from benchmarks.board.rows import ROOT, Measure, Row, commit, read_records
from dragoman.files import write_text

CONFIG, METRICS, WEIGHTS = "config.toml", "metrics.jsonl", "model.safetensors"

DRAGOMAN = [sys.executable, "-m", "dragoman"]
"""Begins the command line of a training or an evaluation."""


class CommandError(Exception):
    """A command failed; the message has it and its last words."""


def run_row(
    row: Row,
    data: Path,
    results: Path,
    work: Path,
    seeds: int,
    *,
    again: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Train and score each language and seed that has no record yet.

    Args:
        row: what to train.
        data: the folder that holds the data.
        results: where ``ROW.json`` is kept.
        work: where models and the files that have to be made are kept.
        seeds: number of trainings of each language.
        again: train what has a record too, and replace it.
        say: is told what is done.

    Raises:
        CommandError: a training or an evaluation failed.
        RowError: a data file is missing.
    """
    path = results / f"{row.name}.json"
    records = [record for record in read_records(path) if record["row"] == row.identity]
    for seed in range(1, seeds + 1):
        for language in row.entries():
            same = [r for r in records if (r["language"], r["seed"]) == (language, seed)]
            if same and not again:
                continue
            say(f"{row.name} {language} seed {seed}")
            folder = work / row.name / (language or "all")
            if row.program:
                record = peer_run(row, data, folder)
            else:
                files = make_files(row, language, data, folder)
                record = one_run(row, language, seed, files, folder / f"model-{seed}")
            records = [one for one in records if one not in same] + [record]
            results.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(records, ensure_ascii=False, indent=1) + "\n")
            for name, test in record["tests"].items():
                values = [f"{key} {one['value']:.2f}" for key, one in test["scores"].items()]
                say(f"  {name}: {', '.join(values)}; {record['minutes']:.1f} min")


def one_run(row: Row, language: str, seed: int, files: Files, folder: Path) -> dict[str, Any]:
    """Train one model into ``folder`` and score it; returns its record."""
    shutil.rmtree(folder, ignore_errors=True)
    command = ["train", *map(str, files.train), *row.options]
    if files.validation:
        command += ["--validation-pairs", *map(str, files.validation)]
    command += ["--seed", str(seed), "--out", str(folder)]
    commands, tests, made_by = [command], {}, commit()
    _, load = dragoman_command(command)
    for name, test in files.tests.items():
        command = ["evaluate", str(folder), *map(str, test), "--json", *row.test_options]
        output, _ = dragoman_command(command)
        commands.append(command)
        found = json.loads(output)
        kept = ("lines", "references", "left_out", "search", "scores", "baselines", "notes")
        tests[name] = {key: found[key] for key in kept}
    models = model_folders(folder)
    config = tomllib.loads((models[0] / CONFIG).read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (models[0] / METRICS).open(encoding="utf-8")]
    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1
    return {
        "language": language,
        "seed": seed,
        "row": row.identity,
        "commands": [shown(command, files, folder) for command in commands],
        "tests": tests,
        **held_out(folder),
        "measures": {one.name: measured(one, rows, config) for one in row.measures},
        "watched": watched(rows),
        "steps": rows[-1]["step"],
        "minutes": round(load.seconds / 60, 3),
        "others": round(load.others, 2),
        "model_bytes": sum((one / WEIGHTS).stat().st_size for one in models),
        "sentences_per_second": round(speed(folder, next(iter(files.tests.values())), row), 1),
        "precision": config["training"]["precision"],
        "machine": machine.description(threads, "cpu"),
        "version": dragoman.__version__,
        "commit": made_by,
    }


def held_out(folder: Path) -> dict[str, Any]:
    """The scores on the pairs that the training held out; nothing where a refit learned them."""
    found = json.loads(dragoman_command(["evaluate", str(folder), "--json"])[0])
    return {} if found["test"].startswith("TRAINING") else {"held_out": found["scores"]}


def dragoman_command(arguments: list[str]) -> tuple[str, Load]:
    """Run ``dragoman``; returns its standard output and what it cost.

    Raises:
        CommandError: it failed.
    """
    meter = Meter()
    command = [*DRAGOMAN, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    load = meter.read()
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-5:])
        raise CommandError(f"dragoman {' '.join(arguments)}: code {done.returncode}\n{last}")
    return done.stdout, load


def model_folders(folder: Path) -> list[Path]:
    """The folder itself, or the model folders of its seeds."""
    return [folder] if (folder / CONFIG).exists() else sorted(folder.glob("seed-*"))


def shown(command: list[str], files: Files, folder: Path) -> str:
    """A command as others would type it: file names without the folders of this machine."""
    known = [*files.train, *files.validation, *(f for test in files.tests.values() for f in test)]
    short = {str(path): path.name for path in known} | {str(folder): "MODEL"}
    return " ".join(["dragoman", *(short.get(word, word) for word in command)])


def measured(one: Measure, rows: list[dict[str, Any]], config: dict[str, Any]) -> float | None:
    """The value of a measure in the rows of ``metrics.jsonl``; None where no row has it."""
    training = [row for row in rows if row["kind"] == "train"]
    if one.measure == "samples/s":
        batch = config["training"]["batch_sentences"]
        rates = [
            batch * (b["step"] - a["step"]) / (b["elapsed"] - a["elapsed"])
            for a, b in pairwise(training)
        ]
        return median(rates) if rates else None
    validation = one.measure in ("validation loss", "free_accuracy")
    kept = [row for row in rows if row["kind"] == "validation"] if validation else training
    key = one.measure.removeprefix("validation ")
    values = [row[key] for row in kept if one.step in (0, row["step"]) and key in row]
    return values[-1] if values else None


def watched(rows: list[dict[str, Any]]) -> dict[str, str]:
    """What the sentences that the recipe watches became at the last validation."""
    last = [row["watched"] for row in rows if row.get("watched")][-1:]
    return {one["source"]: one["output"] for few in last for one in few}


def speed(folder: Path, test: list[Path], row: Row) -> float:
    """Sentences a second of ``Model.translate`` on a test set, after eight to begin with."""
    model = dragoman.load(folder)
    several = "--multiple-references" in row.test_options
    sources = model.examples(test or None, multiple_references=several).sources
    model.translate(list(sources[:8]))
    began = time.perf_counter()
    model.translate(list(sources))
    return len(sources) / (time.perf_counter() - began)
