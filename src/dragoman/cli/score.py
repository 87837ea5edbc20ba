"""``dragoman score``"""

import json
from dataclasses import dataclass, field

from dragoman.api import load
from dragoman.cli import say
from dragoman.cli.parse import Given, Input, Inputs
from dragoman.config.options import ReadingOptions, SearchOptions
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.search.request import Scored


@dataclass(frozen=True)
class Score:
    """Print how probable a model finds given targets: one line for each record of the file.

    A line holds the natural logarithm of the target's probability, a tab, and its mean over the
    target's tokens, the end token included. It is empty for a line that is not a pair.
    """

    folder: Input
    """The model folder."""
    pairs: Inputs
    """One file of pairs, or two aligned files (source, target)."""
    json: bool = False
    """Print one JSON object a line, with the score by which search would
    rank the target and the log-probability of each token as well."""
    device: str = "cpu"
    """Where the model runs: cpu, cuda, cuda:1 or mps."""
    data: ReadingOptions = field(default_factory=ReadingOptions)
    """How pairs are read. Options that are not given are those of the training,
    whatever default stands here."""
    search: SearchOptions = field(default_factory=SearchOptions)
    """How an output is searched for. Options that are not given are those of
    the model folder, whatever default stands here."""


def main(asked: Score, given: Given) -> int:
    """Run the verb."""
    model, faults = load(asked.folder, device=asked.device), Faults()
    reading = model.reading(**given.get("data", {}))
    pairs = list(read_pairs(asked.pairs, reading, faults))
    for note in (*faults.notes, *faults.summary()):
        say("score", note)
    scored = model.score([(pair.source, pair.target) for pair in pairs], **given.get("search", {}))
    answers = dict(zip((pair.record for pair in pairs), scored, strict=True))
    for record in range(1, faults.lines + 1):
        print(_shown(answers[record], asked.json) if record in answers else "")
    return 0


def _shown(scored: Scored, as_json: bool) -> str:
    found = scored.hypothesis
    mean = found.log_prob / len(found.steps)
    if not as_json:
        return f"{found.log_prob:.6f}\t{mean:.6f}"
    fields = {
        "source": scored.source,
        "target": scored.target,
        "log_prob": round(found.log_prob, 6),
        "per_token": round(mean, 6),
        "score": round(found.score, 6),
        "tokens": [(t, round(p, 6)) for t, p in zip(scored.tokens, found.steps, strict=True)],
    }
    return json.dumps(fields, ensure_ascii=False)
