"""How scores and rows of a run are shown."""

from __future__ import annotations

import pytest

from dragoman.runs.display import row_lines, scores_line
from made_runs import train_row, validation_row


def test_a_sample_cannot_command_the_terminal() -> None:
    sample = {"source": "\x1b[31mred\x1b]0;title\x07 🎉", "reference": "", "output": "\x9b2J"}
    out = "".join(row_lines(validation_row(50) | {"samples": [sample]}))
    assert "\\x1b[31mred\\x1b]0;title\\x07 🎉" in out and "\\x9b2J" in out
    assert "\x1b" not in out and "\x9b" not in out


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (
            train_row(50, tokens_per_second=None),
            "50 %, 0:12 left, 0:05 gone, step 50, loss 0.100, best x, 0 tokens/s",
        ),
        (train_row(50, done=0, remaining=None, elapsed=None), "0:00 gone, step 50, loss 0.100"),
        (validation_row(50, samples=None, watched=None), "step 50: loss 0.080"),
    ],
)
def test_what_is_not_known_is_left_out(row: dict[str, object], shown: str) -> None:
    (line,) = row_lines(row, "best x")
    assert line.startswith(shown), line


def test_scores_fit_a_line_however_far_a_run_went_astray() -> None:
    assert scores_line({"loss": 1.2346, "perplexity": 3.437, "exact": 71.25, "bleu": None}) == (
        "loss 1.235, perplexity 3.44, exact 71.2 %"
    )
    assert scores_line({"loss": 2.7e29, "perplexity": 8.22e300}) == (
        "loss 2.7e+29, perplexity 8.22e+300"
    )
    assert scores_line({"perplexity": 123_456_789.0}) == "perplexity 123456789.00"
