"""Several threads that search at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from dragoman.config.options import SearchOptions
from tiny_translator import translator

LINES = [f"the cat sat {n % 7} on {'a ' * (n % 11)}dog" for n in range(60)]


@pytest.mark.slow
def test_threads_translate_at_once_what_one_translates_alone() -> None:
    one, options = translator("char"), SearchOptions(beam=3, batch_size=8)
    alone = [[(h.ids, h.score) for h in a.hypotheses] for a in one.translate(LINES, options)]
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: list(one.translate(LINES, options)), range(3)):
            assert [[(h.ids, h.score) for h in a.hypotheses] for a in found] == alone
