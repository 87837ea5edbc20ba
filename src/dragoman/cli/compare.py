"""``dragoman compare``"""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from dragoman.cli import say
from dragoman.cli.parse import Given
from dragoman.cli.paths import Inputs, Picture
from dragoman.errors import OptionError
from dragoman.runs.comparison import RunRecord, compare, different_data, differing
from dragoman.runs.figures import comparison_figure, save_picture
from dragoman.runs.scores import SCORES, score_text

Grid = list[list[str]]


@dataclass(frozen=True)
class Compare:
    """Put two or more runs side by side: the options that differ, the cost of each, its losses and
    best scores with the steps that reached them."""

    runs: Inputs
    """The runs' folders; they may still be in training."""
    plot: Picture = None
    """Draw the runs' curves, over steps and over wall time, into this file
    (.png, .svg or .pdf)."""
    json: bool = False
    """Print JSON instead of a table."""


def main(asked: Compare, given: Given) -> int:
    """Run the verb."""
    runs = compare(asked.runs)
    if asked.plot is not None:
        if not any(run.rows for run in runs):
            raise OptionError("there is nothing to draw: no run has measured yet", place="--plot")
        rows = {run.name: run.rows for run in runs}
        for warning in save_picture(lambda: comparison_figure(rows), asked.plot):
            say("compare", f"--plot: {warning}")
    warning = different_data(runs)
    if asked.json:
        hidden = ("options", "rows")
        facts = [{k: v for k, v in asdict(run).items() if k not in hidden} for run in runs]
        whole = {"differing": differing(runs), "different_data": warning, "runs": facts}
        print(json.dumps(whole, indent=1))
        return 0
    console = Console()
    if warning:
        console.print(Text(warning))
    for columns in layout(grid(runs), console.width):
        table = Table(*(Column(Text(c[0]), justify="right", overflow="fold") for c in columns))
        table.columns[0].justify = "left"
        for cells in zip(*(column[1:] for column in columns), strict=True):
            table.add_row(*map(Text, cells))
        console.print(table)
    return 0


def grid(runs: list[RunRecord]) -> Grid:
    """Rows of a table: the runs' names, then every fact, a cell for each run after its label."""
    rows = [["", *(run.name for run in runs)]]
    rows += [[name, *map(_shown, values)] for name, values in differing(runs).items()]
    if len({(run.data, run.pairs) for run in runs}) > 1:  # alike digits: the same files
        rows.append(["pairs", *(f"{_shown(r.pairs)} of {(r.data or 'unknown')[:8]}" for r in runs)])
    rows += [
        ["parameters", *(_shown(run.parameters, ",") for run in runs)],
        ["steps", *(_shown(run.steps, ",") for run in runs)],
        ["target tokens", *(_shown(run.tokens, ",") for run in runs)],
        ["time", *(str(timedelta(seconds=round(run.seconds))) for run in runs)],
        ["training loss", *(_shown(run.training_loss, ".3f") for run in runs)],
    ]
    for name, form in SCORES.items():
        cells = ["–"] * len(runs)
        for number, run in enumerate(runs):
            if best := run.best.get(name):
                cells[number] = f"{score_text({name: best['value']}, name)} at {best['step']:,}"
        if any(name in run.best for run in runs):
            rows.append([f"best {form.label}", *cells])
    return rows


def layout(rows: Grid, width: int) -> list[Grid]:
    """The columns of each table to print: one for each run where that fits ``width``, else a line
    for each run in as many tables as it takes."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    if sum(map(_width, columns)) >= width:
        columns = [[row[0].replace(".", ".\n").replace(" ", "\n"), *row[1:]] for row in rows]
    blocks = [columns[:1]]
    for column in columns[1:]:
        if len(blocks[-1]) > 1 and sum(map(_width, [*blocks[-1], column])) >= width:
            blocks.append(columns[:1])
        blocks[-1].append(column)
    return blocks


def _width(column: list[str]) -> int:
    """Columns of a terminal, with the space and the line beside them."""
    return 3 + max(cell_len(line) for cell in column for line in cell.split("\n"))


def _shown(value: Any, form: str = "") -> str:
    if value is None:
        return "–"
    return format(value, "g" if isinstance(value, float) and not form else form)
