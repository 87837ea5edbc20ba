"""What a translator holds in memory at a time, however long lines are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from copying_network import copying
from dragoman.config.options import SearchOptions


@pytest.mark.parametrize(("line", "most"), [("the cat " * 250, 140), ("the cat", 2048)])
def test_lines_are_read_ahead_by_their_characters(line: str, most: int) -> None:
    read = 0

    def lines() -> Iterator[str]:
        nonlocal read
        while read < 3000:
            read += 1
            yield line

    answers = copying(["the cat"] * 3, longest=50).translate(lines(), SearchOptions(beam=1))
    assert next(answers).text == line.strip()
    assert most // 2 < read <= most
    assert next(answers).text == line.strip()
