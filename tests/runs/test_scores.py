"""How the scores of a run are shown."""

from __future__ import annotations

from dragoman.runs.display import scores_line


def test_scores_fit_a_line_however_far_a_run_went_astray() -> None:
    assert scores_line({"loss": 1.2346, "perplexity": 3.437, "exact": 71.25, "bleu": None}) == (
        "loss 1.235, perplexity 3.44, exact 71.2 %"
    )
    assert scores_line({"loss": 2.7e29, "perplexity": 8.22e300}) == (
        "loss 2.7e+29, perplexity 8.22e+300"
    )
    assert scores_line({"perplexity": 123_456_789.0}) == "perplexity 123456789.00"
