"""Several threads that search at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
import torch

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


def test_other_threads_keep_their_number() -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    try:
        torch.set_num_threads(3)
        one = translator("word", longest=28)  # whose threads are still to be made
        list(one.translate(LINES, SearchOptions()))
        assert torch.get_num_threads() == 3
        later = Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
        seen.extend(one._pool.map(lambda _: torch.get_num_threads(), range(3)))
        assert seen == [3, 1, 1, 1]
        assert one.scorer.concurrency == 3
    finally:
        torch.set_num_threads(before)
