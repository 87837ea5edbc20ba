"""Bad input gets a refusal that says why: no status of 500, no traceback, no path."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from dragoman.errors import DataError, FolderError
from dragoman.serving import gate
from served import LINE, Answer, Running, served, serving
from tiny_translator import translator


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    options = {"max_lines": 1000, "max_characters": 20_000, "max_body": 1_000_000}
    with serving(
        served(confidence=None), served("en", "fr", confidence=None), **options
    ) as running:
        yield running
        assert running.translate().status == 200


def refused(answer: Answer, status: int, text: str) -> None:
    assert answer.status == status, answer
    assert list(answer.json) == ["error"] and re.search(text, answer.json["error"]), answer
    assert not re.search(r"Traceback|/(tmp|work|usr|home|root)/|File \"", answer.text)


@pytest.mark.parametrize(
    "body, text",
    [
        (b"", "missing body parameter"),
        (b"{", "not JSON"),
        (b'{"q": "a", "source": "de", "target": "en"', "not JSON"),
        (b"\xff\xfe\x00", "error parsing the body"),
        (b'{"q": "\xff", "source": "de", "target": "en"}', "error parsing the body"),
        (b'{"q": "\\ud800", "source": "de", "target": "en"}', "q: .* raw data as a unicode string"),
        (b"[" * 100_000, "error parsing the body"),
        (b'{"q": NaN, "source": "de", "target": "en"}', "q: Input should be a valid string"),
        (b"[]", "missing body parameter"),
        (b"[1]", "body: .* object"),
        (b'"text"', "body: .* object"),
        (b"null", "body: .* object"),
        (b"1" * 5000, "error parsing the body"),
    ],
)
def test_what_is_no_json_object(server: Running, body: bytes, text: str) -> None:
    refused(server.post("/translate", body), 400, text)
    refused(server.post("/detect", body), 400, text)


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"q": ""}, "missing q parameter"),
        ({"q": []}, "missing q parameter"),
        ({"q": None}, "missing q parameter"),
        ({"source": None}, "missing source parameter"),
        ({"target": None}, "missing target parameter"),
        ({"q": 7}, "q: "),
        ({"q": {"a": 1}}, "q: "),
        ({"q": [["a"]]}, "q: "),
        ({"q": ["a", 3]}, "q: "),
        ({"source": ["de"]}, "source: "),
        ({"source": "xx"}, "^xx is not supported"),
        ({"target": "xx"}, "^xx is not supported"),
        ({"source": "auto", "target": "xx"}, "^xx is not supported"),
        ({"source": "de", "target": "fr"}, "fr is not available as a target language from de"),
        ({"source": ""}, "is not supported"),
        ({"source": "../../etc/passwd"}, "is not supported"),
        ({"source": "de\x00"}, "is not supported"),
        ({"format": "pdf"}, "format: "),
        ({"alternatives": -1}, "alternatives: "),
        ({"alternatives": 10**30}, "alternatives: Input should be less than or equal to 4"),
        ({"alternatives": "many"}, "alternatives: "),
        ({"alternatives": 1.5}, "alternatives: "),
        ({"alternatives": 5}, "alternatives: Input should be less than or equal to 4"),
        ({"must": "cat"}, "must: "),
        ({"must": ["cat"] * 21}, "must: "),
        ({"must": ["zebra"]}, "'zebra' is not in the target vocabulary"),
        ({"must": [""]}, "must: '' is empty"),
        ({"never": ["a"], "prefix": "a cat"}, "cannot be there without"),
        ({"prefix": 3}, "prefix: "),
        ({"prefix": "a " * 251}, "prefix: String should have at most 500 characters"),
        ({"never": ["x" * 101]}, "never: String should have at most 100 characters"),
        ({"min_confidence": 2}, "min_confidence: "),
        ({"min_confidence": 0.5}, "this model has no confidence"),
        ({"api_key": 3}, "api_key: "),
        ({"api_key": "\ud800"}, "api_key: "),
        ({"source": "\ud800"}, "source: "),
        ({"q": ["a cat", "\ud800"]}, "q: "),
        ({"q": ["a"] * 10_000}, r"request \(10000\) exceeds text limit \(1000 lines\)"),
        ({"q": "\n" * 1000}, r"request \(1001\) exceeds text limit"),
        ({"q": "x" * 20_001}, r"request \(20001\) exceeds text limit \(20000 characters\)"),
    ],
)
def test_fields_of_other_types_and_values(
    server: Running, changes: dict[str, Any], text: str
) -> None:
    refused(server.translate(**{"q": LINE, **changes}), 400, text)


def test_a_body_that_is_too_large(server: Running) -> None:
    data = json.dumps({"q": "x" * 10_000_000, "source": "de", "target": "en"}).encode()
    refused(server.post("/translate", data), 413, "at most 1000000 bytes")
    head = b"POST /translate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(head)
        for _ in range(20):
            connection.sendall(b"%x\r\n%s\r\n" % (100_000, b"x" * 100_000))
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "content",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=" + "x" * 300,
        "text/plain",
        "application/json; charset=utf-16",
        ";;;",
    ],
)
@pytest.mark.parametrize("path", ["/translate", "/detect", "/explain", "/translate_file"])
@pytest.mark.parametrize(
    "body", [b"", b"source=%ff%00&target=de", b"--x\r\n\r\n", b"\x00\xff" * 50]
)
def test_bodies_that_are_not_what_they_say(
    server: Running, path: str, content: str, body: bytes
) -> None:
    answer = server.post(path, body, **{"Content-Type": content})
    assert answer.status == 400 and list(answer.json) == ["error"], answer


def test_bodies_of_other_types_are_named(server: Running) -> None:
    said = "the body is neither JSON nor a form"
    plain = {"Content-Type": "text/plain"}
    refused(server.post("/translate", b"the cat", **plain), 400, said)
    parts = {"Content-Type": "multipart/form-data; boundary=b"}
    file = b'--b\r\nContent-Disposition: form-data; name="q"; filename="q"\r\n\r\na\r\n--b--\r\n'
    refused(server.post("/translate", file, **parts), 400, "Too many files")
    refused(server.post("/translate", b"--b--\r\n", **parts), 400, "missing")
    many = b'--b\r\nContent-Disposition: form-data; name="q"\r\n\r\na\r\n' * 1001 + b"--b--\r\n"
    refused(server.post("/translate", many, **parts), 400, "Too many fields")


def test_files_that_cannot_be_translated(server: Running) -> None:
    def post(name: str, data: bytes, fields: str = "source target") -> Answer:
        codes = {"source": "de", "target": "en"}
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{codes[name]}\r\n'
            for name in fields.split()
        ]
        file = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = "".join(parts).encode() + file.encode() + data + b"\r\n--b--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return server.post("/translate_file", body, **kind)

    assert post("x.txt", b"a cat").status == 200
    refused(post("x.docx", b"a cat"), 400, "file format not supported")
    refused(post("x.txt", b"\xff\xfe"), 400, "not UTF-8")
    refused(post("x.txt", b""), 400, "empty file")
    refused(post("x.txt", b"a cat", "source"), 400, "missing target parameter")
    refused(post("x.txt", b"\n" * 2000), 400, "exceeds text limit")
    form = b"source=de&target=en&file=text"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(server.post("/translate_file", form, **kind), 400, "missing source parameter")
    body = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\nde\r\n'
    parts = b"".join(body % name for name in (b"source", b"target")) + b"--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    refused(server.post("/translate_file", parts, **kind), 400, "missing file parameter")


@pytest.mark.parametrize(
    "path",
    [
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/page//etc/passwd",
        "/page/%00",
        "/page/style.css%00.html",
        "/page/" + "a/" * 2000,
        "/page/" + "x" * 5000,
        "/page/%ff%fe",
        "/page/..\\app.py",
        "/page/",
        "/page",
        "//etc/passwd",
        "/%2e%2e/",
        "/nosuch",
        "/docs",
        "/translate/../../x",
        "/health/",
    ],
)
def test_paths_that_lead_nowhere(server: Running, path: str) -> None:
    refused(server.get(path), 404, "Not Found")


def test_methods_and_lines_that_are_no_requests(server: Running) -> None:
    refused(server.get("/translate"), 405, "Method Not Allowed")
    refused(server.post("/health", {}), 405, "Method Not Allowed")
    for data in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n"):
        assert b" 400 " in server.raw(data).split(b"\r\n")[0]
    big = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000
    first = server.raw(big).split(b"\r\n")[0]  # a reset may overtake the answer
    assert first == b"" or b" 400 " in first
    assert server.get("/health?" + quote("\x00\xff")).status == 200


def test_a_client_that_sends_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HEADER_SECONDS", 0.3)
    with serving(max_seconds=0.5) as running:
        ends = []

        def drip(head: bytes) -> None:
            with socket.create_connection(("127.0.0.1", running.port), 30) as connection:
                connection.sendall(head)
                received = b""
                connection.settimeout(0.05)
                for _ in range(400):
                    try:
                        connection.sendall(b"x")
                        part = connection.recv(1000)
                        received += part
                        if not part:
                            break
                    except TimeoutError:
                        continue
                    except OSError:
                        break
                ends.append((head[:4], received[:12]))

        body = b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n"
        heads = (b"GET / HTTP/1.1\r\nX: ", b"", body)
        threads = [threading.Thread(target=drip, args=(head,)) for head in heads]
        for thread in threads:
            thread.start()
        assert running.translate().status == 200  # others are served meanwhile
        for thread in threads:
            thread.join(20)
        assert sorted(ends) == [(b"", b""), (b"GET ", b""), (b"POST", b"HTTP/1.1 408")]


@pytest.mark.slow
def test_an_answer_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    step = translator("word").scorer.step

    def slow(*arguments: Any) -> Any:
        time.sleep(0.3)
        return step(*arguments)

    with monkeypatch.context() as slowly, serving(max_seconds=0.2) as running:
        slowly.setattr(translator("word").scorer, "step", slow)
        answer = running.translate()
        refused(answer, 503, "not done within 0.2 seconds")
        assert int(answer.headers["retry-after"]) > 0


def test_a_full_queue_refuses_and_a_client_that_leaves_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = threading.Event()
    step = translator("word").scorer.step

    def wait(*arguments: Any) -> Any:
        assert event.wait(30)
        return step(*arguments)

    monkeypatch.setattr(translator("word").scorer, "step", wait)
    options = replace(served().search, batch_size=1)
    with serving(replace(served(), search=options), max_waiting=3) as running:

        def gauge(name: str) -> int:
            return int(re.search(rf"dragoman_{name}{{.*}} (\d+)", running.get("/metrics").text)[1])  # type: ignore[index]

        body = json.dumps({"q": ["a cat"] * 5, "source": "de", "target": "en"}).encode()
        head = b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(head % len(body) + body)
            while (gauge("at_work"), gauge("waiting")) != (1, 4):
                time.sleep(0.01)
            answer = running.translate()
            refused(answer, 429, "too many requests are waiting")
            assert int(answer.headers["retry-after"]) > 0
        while 'route="/translate",status="499"' not in running.get("/metrics").text:
            time.sleep(0.01)  # until the server has seen that the client left
        assert gauge("waiting") == 0  # though no search has come to them
        event.set()
        while gauge("waiting"):
            time.sleep(0.01)
        assert running.translate().status == 200
        assert gauge("at_work") == 0


def test_too_many_requests_at_a_time() -> None:
    with serving(max_requests=1) as running:
        head = b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(head)
            while (answer := running.translate()).status == 200:
                time.sleep(0.01)
            refused(answer, 503, "too many requests")
            assert answer.headers["retry-after"] == "1"
        while running.translate().status != 200:
            time.sleep(0.01)


def test_explanations_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(line: str) -> str:
        raise FolderError("a bundle cannot be explained", place="/home/me/bundle", cure="a folder")

    def long(line: str) -> str:
        raise DataError("the sentence has 99 tokens", cure="give a part of it")

    models = [replace(served(), explain=none), replace(served("fr"), explain=long)]
    with serving(*models) as running:
        asked = {"q": "a cat", "source": "de", "target": "en"}
        refused(running.post("/explain", asked), 400, "^a bundle cannot be explained .a folder.$")
        refused(running.post("/explain", {**asked, "source": "fr"}), 400, "99 tokens")
        refused(running.post("/explain", {**asked, "source": "it"}), 400, "it is not supported")
        refused(running.post("/explain", {**asked, "q": "a\nb"}), 400, "one line is explained")


def test_explanations_wait_for_one_another() -> None:
    at_work, most, answers = 0, 0, []

    def wait(line: str) -> str:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0.02)
        at_work -= 1
        return "{}"

    with serving(replace(served(), explain=wait)) as running:
        asked = {"q": "a cat", "source": "de", "target": "en"}

        def ask() -> None:
            answers.append(running.post("/explain", asked).status)

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert answers == [200] * 12 and most == 1


def test_a_fault_of_ours_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as running:
        monkeypatch.setattr(translator("word").scorer, "step", lambda *_: 1 / 0)
        answer = running.translate()
        assert answer.status == 500 and answer.json == {"error": "Internal error"}
        monkeypatch.undo()
        assert running.translate().status == 200
