"""Notes the pairs of steps that were skipped, so that a user can look for the cause in the data."""

from __future__ import annotations

import json
from pathlib import Path

from dragoman.data.corpus import Corpus
from dragoman.files import write_text
from dragoman.layout import SKIPPED
from dragoman.training.observer import Event, Observer, Skipped

MOST = 20
"""Steps of a run whose pairs are noted."""


def note_skipped(folder: Path, corpus: Corpus) -> Observer:
    """An observer that writes ``skipped/step-*.json``: line in the file of pairs, and ids."""
    place = folder / SKIPPED

    def observe(event: Event) -> None:
        if not isinstance(event, Skipped):
            return
        place.mkdir(exist_ok=True)
        if len(list(place.iterdir())) < MOST:
            pairs = [
                {"line": corpus.line(row), "source": source.ids.tolist(), "target": ids.tolist()}
                for row in sorted(map(int, event.rows))
                for source, ids in (corpus.pair(row),)
            ]
            text = json.dumps({"step": event.step, "pairs": pairs})
            write_text(place / f"step-{event.step:08d}.json", text)

    return observe
