"""``dragoman score``"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from dragoman.cli.options import parse_search
from dragoman.config.options import SearchOptions
from dragoman.config.toml import flat
from dragoman.data.pairs import Faults

if TYPE_CHECKING:
    from dragoman.search.translator import Scored


@dataclass(frozen=True)
class Score:
    """How probable a model finds given targets: a line for each pair, in the order of the file.

    Each has the natural logarithm of the target's probability, a tab, and its mean over the
    target's tokens, the end included. The line of what is no pair is empty.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """The model folder."""
    pairs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One file of pairs, read as the training pairs were, or two aligned ones (source, target)."""
    json: bool = False
    """Give a JSON object a line: also the score by which search would rank the target, and the
    log-probability of each token."""
    search: SearchOptions = field(default_factory=SearchOptions)


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    asked = parse_search(Score, arguments, verb="score")
    from dragoman.api import load  # torch only now
    from dragoman.data.readers import read_pairs

    model, faults = load(asked.folder), Faults()
    reading = model.config.data
    if (len(asked.pairs) == 2) != (reading.format == "aligned"):
        reading = replace(reading, format="auto")
    pairs = list(read_pairs(asked.pairs, reading, faults))
    for said in faults.summary():
        print(f"dragoman score: {said}", file=sys.stderr)
    scored = model.score([(pair.source, pair.target) for pair in pairs], **flat(asked.search))
    answers = dict(zip((pair.line for pair in pairs), scored, strict=True))
    for line in range(1, faults.lines + 1):
        print(_shown(answers[line], asked.json) if line in answers else "")
    return 0


def _shown(scored: Scored, as_json: bool) -> str:
    found = scored.hypothesis
    mean = found.log_prob / len(found.steps)
    if not as_json:
        return f"{found.log_prob:.6f}\t{mean:.6f}"
    steps = zip(scored.tokens, (round(step, 6) for step in found.steps), strict=True)
    fields = {
        "source": scored.source,
        "target": scored.target,
        "log_prob": round(found.log_prob, 6),
        "per_token": round(mean, 6),
        "score": round(found.score, 6),
        "tokens": list(steps),
    }
    return json.dumps(fields, ensure_ascii=False)
