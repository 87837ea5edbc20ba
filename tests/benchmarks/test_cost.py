"""The cost model: numbers worked by hand, and a ring all-reduce played message by message."""

from __future__ import annotations

import pytest

from benchmarks.cost import Constants, Device, Line, Model, predict, sent, size, span, step_seconds

CONSTANTS = Constants(
    preparation=Line(2.0, 1e-4),
    preparation_memory=Line(200e6, 100.0),
    disk=Line(0.0, 50.0),
    memory=Line(300e6, 20.0),
    memory_a_pair=16.0,
    tokens_a_pair=10.0,
)
MODEL = Model(weights=5_000_000, products=30e6)
DEVICE = Device(
    name="here", step=Line(0.01, 1e-11), tokens=1000, bandwidth=1e9, latency=1e-4, price=2.0
)


def ring(weights: int, processes: int) -> int:
    """Bytes that process 0 sends: parts of sums on the way to where they are whole, then these."""
    part = weights // processes
    bytes_sent = 0
    for _ in ("sums", "wholes"):
        for _ in range(processes - 1):
            bytes_sent += 4 * part
    return bytes_sent


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_a_process_sends_what_a_ring_passes_on(processes: int) -> None:
    assert sent(24_000, processes) == pytest.approx(ring(24_000, processes))


def test_a_line_goes_through_its_points() -> None:
    line = Line.through((2, 7), (4, 13))
    assert (line.start, line.each) == (1, 3)
    assert [line.at(x) for x in (0, 2, 4)] == [1, 7, 13]


def test_a_training_is_predicted_as_worked_by_hand() -> None:
    # A step: 0.01 s and 1000 x 30e6 operations at 1e11 a second.
    assert step_seconds(MODEL, DEVICE, 1) == pytest.approx(0.31)
    # Four processes send 2 x 3/4 x 20 MB at 1 GB/s, in six messages.
    assert step_seconds(MODEL, DEVICE, 4) == pytest.approx(0.31 + 0.03 + 0.0006)
    p = predict(1e6, 4, MODEL, CONSTANTS, DEVICE, epochs=3)
    assert p.preparation == pytest.approx(102)
    assert (p.preparation_memory, p.disk) == (300e6, 50e6)
    assert p.memory == pytest.approx(300e6 + 100e6 + 16e6)
    assert p.training == pytest.approx(30e6 / 4000 * 0.3406)
    assert p.exchange == pytest.approx(0.0306 / 0.3406)
    assert p.price == pytest.approx((4 * p.training + 102) / 3600 * 2)


def test_devices_without_a_network_share_the_work_and_no_more() -> None:
    alone, many = (predict(1e9, count, MODEL, CONSTANTS, DEVICE, 1) for count in (1, 1024))
    assert alone.exchange == 0 and many.training > alone.training / 1024
    assert many.preparation == alone.preparation and many.memory == alone.memory


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.25, "0.25 s"), (89, "89 s"), (90, "1.5 min"), (7200, "2.0 h"), (1e6, "11.6 days")],
)
def test_times_are_told_in_the_largest_unit_that_fits(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_sizes_are_told_in_powers_of_ten() -> None:
    assert [size(count) for count in (900, 2.5e6, 3e9, 4e12)] == [
        *("0.9 kB", "2.5 MB"),
        *("3.0 GB", "4.0 TB"),
    ]
