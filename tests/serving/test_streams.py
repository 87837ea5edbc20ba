"""Requests of many clients share a search: the same answers, in a bounded queue, one by one."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from dataclasses import replace

import pytest

from dragoman.config.options import SearchOptions
from dragoman.search.request import Request
from dragoman.search.translator import Translator
from dragoman.serving import streams
from dragoman.serving.streams import BUSY_STREAMS, BusyError, Streams
from tiny_translator import TEXT, translator

LINES = [" ".join(TEXT[n % 3].split()[: 1 + n % 8][:: -1 if n % 2 else 1]) for n in range(40)] + [
    "",
    "dogs " * 50,
    "  ",
    "a cat",
]
OPTIONS = SearchOptions(beam=3)


def requests(lines: list[str]) -> list[Request]:
    return list(map(Request, lines))


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Searches stop before their next step while this is not set."""
    event = threading.Event()
    step = translator("word").scorer.step

    def wait(*arguments: object) -> object:
        assert event.wait(30)
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(translator("word").scorer, "step", wait)
    return event


@pytest.mark.slow
@pytest.mark.parametrize("level", ["word", "bpe"])
def test_every_client_has_the_answers_of_a_call_of_its_own(level: str) -> None:
    model = translator(level)
    every = Streams(model, limit=10_000)
    optionses = [OPTIONS, replace(OPTIONS, beam=1), replace(OPTIONS, n_best=3)]
    asked = [(LINES[n:], optionses[n % 3]) for n in range(0, len(LINES), 3)]
    futures = [every.submit(requests(lines), options) for lines, options in asked]
    for future, (lines, options) in zip(futures, asked, strict=True):
        alone = list(model.translate(lines, options))
        together = future.result(60)
        assert [a.texts for a in together] == [a.texts for a in alone]
        scores = [[h.log_prob for h in a.hypotheses] for a in together]
        assert scores == [[h.log_prob for h in a.hypotheses] for a in alone]
        assert [a.source for a in together] == lines
    every.close()
    assert every.waiting == every.at_work == 0


def test_constraints_hold_for_their_request_alone() -> None:
    every = Streams(translator("word"), limit=100)
    asked = [Request("the cat", prefix="dogs sit"), Request("the cat", never=("the",))]
    first, second = every.submit(asked, OPTIONS).result(60)
    assert first.text.startswith("dogs sit") and "the" not in second.text.split()
    plain = every.submit([Request("the cat")], OPTIONS).result(60)[0]
    assert plain.text == next(translator("word").translate(["the cat"], OPTIONS)).text
    every.close()


def test_a_request_joins_a_search_that_is_going_on(gate: threading.Event) -> None:
    begun: list[int] = []
    model = translator("word")
    step, start = model.scorer.step, model.scorer.start

    class Scorer:
        copies, attends, concurrency = False, True, 1
        select, join = staticmethod(model.scorer.select), staticmethod(model.scorer.join)

        def start(self, sentences: list[object], slots: int) -> object:
            begun.append(len(sentences))
            return start(sentences, slots)  # type: ignore[arg-type]

        def step(self, *arguments: object) -> object:
            return step(*arguments)  # type: ignore[arg-type]

    other = Translator(Scorer(), model.source, model.target, longest=30)  # type: ignore[arg-type]
    every = Streams(other, limit=100)
    long = every.submit(requests(["the cat sat on a mat , near the dog ."]), OPTIONS)
    while not begun:
        pass
    short = every.submit(requests(["a cat"]), OPTIONS)
    gate.set()
    assert short.result(30) and long.result(30)
    assert begun == [1, 1]
    every.close()


def test_lines_of_a_large_request_take_turns_with_those_of_a_small_one(
    gate: threading.Event,
) -> None:
    ended: list[str] = []
    every = Streams(translator("word"), limit=1000)
    options = replace(OPTIONS, batch_size=1)
    large = every.submit(requests(["a cat"] * 100), options)
    small = every.submit(requests(["dogs sit"]), options)
    large.add_done_callback(lambda _: ended.append("large"))
    small.add_done_callback(lambda _: ended.append("small"))
    gate.set()
    large.result(60)
    assert ended == ["small", "large"]
    every.close()


def test_too_much_is_refused_and_a_cancelled_request_makes_room(gate: threading.Event) -> None:
    every = Streams(translator("word"), limit=5)
    options = replace(OPTIONS, batch_size=1)
    at_work = every.submit(requests(["a cat"]), options)
    while not every.at_work:
        pass
    waiting = every.submit(requests(["a cat"] * 5), options)
    with pytest.raises(BusyError):
        every.submit(requests(["a cat"]), options)
    waiting.cancel()
    gate.set()
    assert at_work.result(30)
    with pytest.raises(CancelledError):
        waiting.result(0)
    while every.waiting:
        pass
    assert every.submit(requests(["a cat"]), options).result(30)
    every.close()


def test_only_so_many_sets_of_options_are_searched_with(gate: threading.Event) -> None:
    every = Streams(translator("word"), limit=1000)
    asked = [replace(OPTIONS, beam=beam + 1) for beam in range(BUSY_STREAMS + 1)]
    futures = [every.submit(requests(["a cat"]), options) for options in asked[:-1]]
    with pytest.raises(BusyError):
        every.submit(requests(["a cat"]), asked[-1])
    more = every.submit(requests(["dogs"]), asked[0])  # joins one that is there
    gate.set()
    assert all(future.result(30) for future in (*futures, more))
    assert every.submit(requests(["a cat"]), asked[-1]).result(30)
    every.close()


def test_an_idle_stream_ends_and_another_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_LINGER", 0.01)
    every = Streams(translator("word"), limit=1000)
    for _ in range(3):
        assert every.submit(requests(["a cat"]), OPTIONS).result(30)
        while [t for t in threading.enumerate() if t.name == "stream"]:
            pass
    every.close()


def test_a_fault_is_told_to_whom_it_concerns_and_the_stream_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = Streams(translator("word"), limit=1000)
    with monkeypatch.context() as broken:
        broken.setattr(translator("word").scorer, "step", lambda *_: 1 / 0)
        future = every.submit(requests(["a cat"] * 3), OPTIONS)
        with pytest.raises(ZeroDivisionError):
            future.result(30)
    assert every.submit(requests(["a cat"]), OPTIONS).result(30)
    while every.waiting or every.at_work:
        pass
    every.close()


def test_closing_answers_what_was_taken(gate: threading.Event) -> None:
    every = Streams(translator("word"), limit=1000)
    future = every.submit(requests(LINES), OPTIONS)
    closing = threading.Thread(target=every.close)
    closing.start()
    while True:
        try:
            every.submit(requests(["a cat"]), replace(OPTIONS, beam=1)).cancel()
        except BusyError:
            break
    gate.set()
    closing.join(30)
    assert future.done() and len(future.result()) == len(LINES)


def test_closing_does_not_wait_for_what_nobody_waits_for(gate: threading.Event) -> None:
    every = Streams(translator("word"), limit=1000)
    future = every.submit(requests(["a cat"]), OPTIONS)
    while not every.at_work:
        pass
    future.cancel()
    every.close()
    assert every.at_work == 1
    gate.set()
