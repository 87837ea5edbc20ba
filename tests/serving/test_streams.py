"""Requests of many clients share a search: the same answers, in a bounded queue, one by one."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from dataclasses import replace

import pytest

from dragoman.config.options import SearchOptions
from dragoman.search.request import Request
from dragoman.search.translator import Translation, Translator
from dragoman.serving.streams import BusyError, Stream
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


def answers(futures: list[Future[Translation]]) -> list[Translation]:
    return [future.result(60) for future in futures]


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
    optionses = [OPTIONS, replace(OPTIONS, beam=1), replace(OPTIONS, n_best=3)]
    streams = [Stream(model, options, limit=10_000) for options in optionses]
    asked = [(LINES[n:], streams[n % 3]) for n in range(0, len(LINES), 2)]
    futures = [stream.submit(requests(lines)) for lines, stream in asked]
    for mine, (lines, stream) in zip(futures, asked, strict=True):
        alone = list(model.translate(lines, stream.options))
        together = answers(mine)
        assert [a.texts for a in together] == [a.texts for a in alone]
        scores = [[h.log_prob for h in a.hypotheses] for a in together]
        assert scores == [[h.log_prob for h in a.hypotheses] for a in alone]
        assert [a.source for a in together] == lines
    assert not any(stream.waiting or stream.at_work for stream in streams)


def test_constraints_hold_for_their_request_alone() -> None:
    stream = Stream(translator("word"), OPTIONS, limit=100)
    asked = [Request("the cat", prefix="dogs sit"), Request("the cat", never=("the",))]
    first, second = answers(stream.submit(asked))
    assert first.text.startswith("dogs sit") and "the" not in second.text.split()
    (plain,) = answers(stream.submit(requests(["the cat"])))
    assert plain.text == next(translator("word").translate(["the cat"], OPTIONS)).text


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

    other = Translator(Scorer(), [model.source], model.target, 30)  # type: ignore[arg-type]
    stream = Stream(other, OPTIONS, limit=100)
    long = stream.submit(requests(["the cat sat on a mat , near the dog ."]))
    while not begun:
        pass
    short = stream.submit(requests(["a cat"]))
    gate.set()
    assert answers(short) and answers(long)
    assert begun == [1, 1]


def test_lines_of_a_large_request_take_turns_with_those_of_a_small_one(
    gate: threading.Event,
) -> None:
    ended: list[str] = []
    stream = Stream(translator("word"), replace(OPTIONS, batch_size=1), limit=1000)
    clients = {
        "large": stream.submit(requests(["a cat"] * 50)),
        "small": stream.submit(requests(["dogs sit"])),
        "middle": stream.submit(requests(["dogs sit"] * 10)),
    }
    for name, futures in clients.items():
        futures[-1].add_done_callback(lambda _, name=name: ended.append(name))  # type: ignore[misc]
    gate.set()
    answers(clients["large"])
    assert ended == ["small", "middle", "large"]


def test_a_request_that_comes_late_waits_for_one_line_of_another(gate: threading.Event) -> None:
    ended: list[str] = []
    stream = Stream(translator("word"), replace(OPTIONS, batch_size=1), limit=1000)
    large = stream.submit(requests(["a cat"] * 50))
    gate.set()
    answers(large[:25])
    late = stream.submit(requests(["dogs sit"] * 2))
    late[-1].add_done_callback(lambda _: ended.append("late"))
    large[-1].add_done_callback(lambda _: ended.append("large"))
    answers(large)
    assert ended == ["late", "large"]


def test_too_much_is_refused_and_a_cancelled_request_makes_room(gate: threading.Event) -> None:
    stream = Stream(translator("word"), replace(OPTIONS, batch_size=1), limit=5)
    at_work = stream.submit(requests(["a cat"]))
    while not stream.at_work:
        pass
    waiting = stream.submit(requests(["a cat"] * 5))
    with pytest.raises(BusyError):
        stream.submit(requests(["a cat"]))
    assert all(future.cancel() for future in waiting) and not at_work[0].cancel()
    assert stream.waiting == 0
    late = stream.submit(requests(["dogs sit"]))  # while the cancelled ones are still in the queue
    gate.set()
    assert answers(at_work)
    with pytest.raises(CancelledError):
        waiting[0].result(0)
    assert answers(late) and answers(stream.submit(requests(["a cat"])))


def test_a_fault_is_told_to_whom_it_concerns_and_the_stream_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = Stream(translator("word"), OPTIONS, limit=1000)
    with monkeypatch.context() as broken:
        broken.setattr(translator("word").scorer, "step", lambda *_: 1 / 0)
        for future in stream.submit(requests(["a cat"] * 3)):
            with pytest.raises(ZeroDivisionError):
                future.result(30)
    assert answers(stream.submit(requests(["a cat"])))
    assert not stream.waiting and not stream.at_work
