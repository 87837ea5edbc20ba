"""``dragoman data get`` against a server on this machine that speaks the real protocols.

It knows Range, If-Range and ETag, the API of OPUS and that of the hub, and it can break off, lie
about lengths, redirect in circles and send another file.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from dragoman.cli import main
from dragoman.config.options import DataOptions
from dragoman.data.download import fetch, fetch_json
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.errors import DataError, DragomanError
from made_files import parquet, table, tmx

ROWS = [(f"sentence {n}", f"phrase {n}") for n in range(3000)]


def zipped(**members: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


@dataclass
class Site:
    """What the server has, how it misbehaves, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, object] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    breaks: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers breaks off."""
    lie: int = 0
    """Bytes by which a told length is too large."""
    ranged: bool = True
    chunked: bool = False
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site, address = self.site, urlsplit(self.path)
        site.requests.append((self.path, dict(self.headers)))
        if target := site.redirects.get(address.path):
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif (answer := site.answers.get(address.path)) is not None:
            found = answer(parse_qs(address.query)) if callable(answer) else answer
            self.send(found if isinstance(found, bytes) else json.dumps(found).encode(), {}, 200)
        elif address.path in site.files:
            self.send_file(site.files[address.path])
        else:
            self.send_error(500 if "fault" in address.path else 404)

    def send_file(self, content: bytes) -> None:
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        headers = {"ETag": tag, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None or not self.site.ranged:
            self.send(content, headers, 200)
        elif int(asked[1]) >= len(content):
            self.send(b"", {"Content-Range": f"bytes */{len(content)}"}, 416)
        else:
            part = f"bytes {asked[1]}-{len(content) - 1}/{len(content)}"
            self.send(content[int(asked[1]) :], headers | {"Content-Range": part}, 206)

    def send(self, content: bytes, headers: dict[str, str], status: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        stop = self.site.breaks.pop(0) if self.site.breaks else None
        if self.site.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        else:
            self.send_header("Content-Length", str(len(content) + self.site.lie))
        self.end_headers()
        self.wfile.write(content[:stop])
        if stop is not None or self.site.lie:
            self.close_connection = True


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A running server; the hosts of all corpora are this one."""
    found = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Handler,), {"site": found}))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    for name, path in (
        ("DRAGOMAN_TATOEBA", "/anki"),
        ("DRAGOMAN_OPUS", "/opusapi/"),
        ("HF_ENDPOINT", ""),
    ):
        monkeypatch.setenv(name, found.url + path)
    for name in ("http_proxy", "HTTP_PROXY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def quiet(text: str) -> None:
    """For lines that a test does not look at."""


def read(*files: Path) -> list[tuple[str, str]]:
    return [(p.source, p.target) for p in read_pairs(files, DataOptions(), Faults())]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# -- the three hosts -------------------------------------------------------------------------------


def tatoeba() -> bytes:
    lines = "".join(f"{a}\t{b}\tCC-BY 2.0 (France) #{n}\n" for n, (a, b) in enumerate(ROWS))
    return zipped(**{"fra.txt": lines, "_about.txt": "by many people"})


def test_tatoeba(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.files["/anki/fra-eng.zip"] = tatoeba()
    assert main(["data", "get", "tatoeba:fra-eng", "--into", str(tmp_path / "d")]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'd/fra-eng.zip'}\n"
    digest = hashlib.sha256(site.files["/anki/fra-eng.zip"]).hexdigest()
    assert f"sha256 {digest}" in err
    assert names(tmp_path / "d") == {"fra-eng.zip", "fra-eng.licence.txt"}
    assert read(tmp_path / "d/fra-eng.zip") == ROWS
    licence = (tmp_path / "d/fra-eng.licence.txt").read_text("utf-8")
    assert "CC BY 2.0" in licence and "tatoeba.org" in licence and f"{site.url}/anki" in licence


def test_opus(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.files["/OPUS-Books/v1/tmx/en-fr.tmx.gz"] = gzip.compress(tmx(ROWS).encode())

    def api(query: dict[str, list[str]]) -> dict[str, object]:
        assert query.pop("corpus") == ["Books"]
        wanted = {"source": ["en"], "target": ["fr"], "preprocessing": ["tmx"]}
        url = f"{site.url}/OPUS-Books/v1/tmx/en-fr.tmx.gz"
        is_known = query == wanted | {"version": ["latest"]}
        return {"corpora": [{"url": url, "version": "v1", "size": 9}] if is_known else []}

    site.answers["/opusapi/"] = api
    assert main(["data", "get", "opus:Books/fr-en", "--into", str(tmp_path)]) == 0
    (file,) = map(Path, capsys.readouterr().out.splitlines())
    assert file.name == "Books.en-fr.tmx.gz" and read(file) == ROWS
    assert names(tmp_path) == {file.name, "Books-fr-en.licence.txt"}
    licence = (tmp_path / "Books-fr-en.licence.txt").read_text("utf-8")
    assert "Tiedemann 2012" in licence and "https://opus.nlpl.eu/Books" in licence
    assert main(["data", "get", "opus:Books/en-xx"]) == 2
    assert "the answer has nothing of that name" in capsys.readouterr().err


def hub(site: Site, *names: str) -> dict[str, bytes]:
    """Put a dataset with these files and a card on the hub; each file has a row less."""
    files = {"README.md": b"# The card", "loader.py": b"import os"}
    files |= {name: parquet(table(ROWS[at:])) for at, name in enumerate(names)}
    siblings = [
        {"rfilename": name, "size": len(raw), "lfs": {"sha256": hashlib.sha256(raw).hexdigest()}}
        for name, raw in files.items()
    ]
    info = {"sha": "abc", "siblings": siblings, "cardData": {"license": "cc-by-4.0"}}
    site.answers["/api/datasets/some/set"] = info
    for name, raw in files.items():
        stored = f"/store/{hashlib.md5(name.encode()).hexdigest()}"
        site.redirects[f"/datasets/some/set/resolve/abc/{name}"] = f"{stored}?signed=1"
        site.files[stored] = raw
    return files


def test_the_hub(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of pairs are fetched, programs are not; the token stays with the hub."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub(site, "en-fr/train-0.parquet", "en-de/train-0.parquet")
    assert main(["data", "get", "hf:some/set", "--into", str(tmp_path)]) == 0
    files = {"en-fr-train-0.parquet", "en-de-train-0.parquet"}
    assert names(tmp_path) == {*files, "some-set.licence.txt"}
    assert read(tmp_path / "en-fr-train-0.parquet") == ROWS
    assert "licence cc-by-4.0" in (tmp_path / "some-set.licence.txt").read_text("utf-8")
    for path, headers in site.requests:
        assert headers.get("Authorization") == (None if "/store/" in path else "Bearer secret")
    assert main(["data", "get", "hf:some/set/en-de", "--into", str(tmp_path / "part")]) == 0
    assert "en-fr-train-0.parquet" not in names(tmp_path / "part")
    capsys.readouterr()
    assert main(["data", "get", "hf:some/set/en-xx"]) == 2
    said = "hf:some/set: no file of pairs under en-xx (there is: en-de, en-fr)"
    assert said in capsys.readouterr().err


def test_a_name_on_the_hub_leads_into_no_other_folder(site: Site, tmp_path: Path) -> None:
    hub(site, "../../up/p.parquet")
    assert main(["data", "get", "hf:some/set", "--into", str(tmp_path / "d")]) == 0
    assert names(tmp_path) == {"d"} and "up-p.parquet" in names(tmp_path / "d")


def test_files_of_one_set_keep_apart(site: Site, tmp_path: Path) -> None:
    """Also where a slash is the only difference between their names."""
    hub(site, "a/b.parquet", "a-b.parquet", "2-a-b.parquet")
    assert main(["data", "get", "hf:some/set", "--into", str(tmp_path)]) == 0
    found = names(tmp_path) - {"some-set.licence.txt"}
    assert {len(read(tmp_path / name)) for name in found} == {3000, 2999, 2998}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tatoeba:french", "tatoeba: no pairs 'french' (such as tatoeba:fra-eng)"),
        ("opus:Books", "opus: no corpus 'Books' (such as opus:Tatoeba/en-fr)"),
        ("opos:Books", "no host 'opos' (did you mean 'opus'?)"),
        (
            "tatoeba:deu-eng",
            "/anki/deu-eng.zip: the server answers 404: Not Found (is the name right?",
        ),
        ("hf:no/set", "/api/datasets/no/set?blobs=true: the server answers 404: Not Found"),
        ("opus:Odd/a-b", "opus:Odd/a-b: the answer has nothing of that name"),
        ("hf:odd/set", "hf:odd/set: the answer has nothing of that name"),
    ],
)
def test_names_that_are_wrong(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    site.answers |= {"/opusapi/": b"<html>", "/api/datasets/odd/set": {"siblings": 5}}
    assert main(["data", "get", name, "--into", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not names(tmp_path)


# -- servers that misbehave ------------------------------------------------------------------------

CONTENT = b"".join(b"%d\ta line of text\n" % number for number in range(100_000))


def broken(site: Site, path: Path) -> str:
    """Fetch /f, which must end in the error of one that broke off; what it says."""
    with pytest.raises(DragomanError, match="/f: broke off") as caught:
        fetch(f"{site.url}/f", path, quiet)
    assert caught.value.exit_code == 1
    assert names(path.parent) == {"f.part"}
    return str(caught.value)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_download_goes_on_where_it_broke_off(site: Site, tmp_path: Path, chunked: bool) -> None:
    site.files["/f"], site.chunked = CONTENT, chunked
    site.breaks = [1_000_000, 0, 500_000]
    for _ in range(3):
        broken(site, tmp_path / "f")
    said: list[str] = []
    fetch(f"{site.url}/f", tmp_path / "f", said.append)
    assert (tmp_path / "f").read_bytes() == CONTENT and names(tmp_path) == {"f"}
    assert site.ranges[0] is None
    ranges = [int(str(each)[6:-1]) for each in site.ranges[1:]]
    assert ranges == sorted(ranges) and 1_000_000 < ranges[-1] <= 1_500_000
    assert f"goes on after {ranges[-1]:,} bytes" in said[0]


def test_a_server_without_ranges(site: Site, tmp_path: Path) -> None:
    """Whatever was there, the whole file comes again."""
    site.files["/f"], site.breaks, site.ranged = CONTENT, [700_000], False
    broken(site, tmp_path / "f")
    fetch(f"{site.url}/f", tmp_path / "f", quiet)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_another_file_is_refused(site: Site, tmp_path: Path) -> None:
    """The file changed between two tries: what was joined is not kept, the next try is whole."""
    digest = hashlib.sha256(CONTENT[::-1]).hexdigest()
    site.files["/f"], site.breaks = CONTENT, [700_000]
    broken(site, tmp_path / "f")
    site.files["/f"] = CONTENT[::-1]
    with pytest.raises(DataError, match="/f: another file than promised: 2,088,890 bytes, sha256"):
        fetch(f"{site.url}/f", tmp_path / "f", quiet, sha256=digest)
    assert not names(tmp_path)
    fetch(f"{site.url}/f", tmp_path / "f", quiet, sha256=digest, size=len(CONTENT))
    with pytest.raises(DataError, match="another file than promised: .*not kept"):
        fetch(f"{site.url}/f", tmp_path / "f", quiet, size=5)
    assert names(tmp_path) == {"f"} and (tmp_path / "f").read_bytes() == CONTENT[::-1]


def test_a_changed_archive_is_refused(site: Site, tmp_path: Path) -> None:
    """Nobody tells the digest of a zip archive; its own checksums do."""
    site.files["/anki/fra-eng.zip"], site.breaks = tatoeba(), [10_000]
    arguments = ["data", "get", "tatoeba:fra-eng", "--into", str(tmp_path)]
    assert main(arguments) == 1
    other = "".join(f"{b}\t{a}\n" for a, b in ROWS)
    site.files["/anki/fra-eng.zip"] = zipped(**{"fra.txt": other, "_about.txt": "others"})
    assert main(arguments) == 2 and not names(tmp_path)
    assert main(arguments) == 0
    assert read(tmp_path / "fra-eng.zip") == [(b, a) for a, b in ROWS]


def test_a_whole_file_that_was_not_yet_renamed(site: Site, tmp_path: Path) -> None:
    site.files["/f"] = CONTENT
    (tmp_path / "f.part").write_bytes(CONTENT)
    fetch(f"{site.url}/f", tmp_path / "f", quiet)
    assert (tmp_path / "f").read_bytes() == CONTENT and names(tmp_path) == {"f"}


def test_a_length_that_is_a_lie(site: Site, tmp_path: Path) -> None:
    site.files["/f"], site.lie = CONTENT, 1000
    broken(site, tmp_path / "f")
    site.lie = 0
    fetch(f"{site.url}/f", tmp_path / "f", quiet)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_part_that_was_not_asked_for(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(self: Handler, content: bytes) -> None:
        self.send(content, {"Content-Range": "bytes 7-9/10"}, 206)

    site.files["/f"] = CONTENT
    (tmp_path / "f.part").write_bytes(CONTENT[:100])
    monkeypatch.setattr(Handler, "send_file", odd)
    with pytest.raises(DataError, match="sends another part than asked for"):
        fetch(f"{site.url}/f", tmp_path / "f", quiet)


def test_redirects_in_circles_and_elsewhere(site: Site, tmp_path: Path) -> None:
    site.redirects = {"/a": "/b", "/b": "/a", "/file": "file:///etc/passwd"}
    with pytest.raises(DataError, match="the server answers 302: .*infinite loop"):
        fetch(f"{site.url}/a", tmp_path / "f", quiet)
    with pytest.raises(DataError, match="302"):
        fetch(f"{site.url}/file", tmp_path / "f", quiet)
    with pytest.raises(DragomanError, match="file:///etc/passwd: cannot be reached: not an http"):
        fetch("file:///etc/passwd", tmp_path / "f", quiet)
    assert not names(tmp_path)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 \r\n\r\n", "the server answers 404: ? (is the name right?)"),
        (b"HTTP/1.1 503\r\n\r\n", "the server answers 503: ? (try again later)"),
        (b"HTTP/1.1 302 x\r\nLocation: http://[b\r\n\r\n", "cannot be reached: Invalid IPv6 URL"),
        (b"nothing of HTTP\r\n\r\n", "broke off: "),
        (b"", "broke off: Remote end closed connection without response"),
    ],
)
def test_a_server_that_answers_oddly(tmp_path: Path, answer: bytes, said: str) -> None:
    def serve() -> None:
        with server.accept()[0] as connection:
            while not connection.recv(1 << 16).endswith(b"\r\n\r\n"):
                pass
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve)
        thread.start()
        with pytest.raises(DragomanError, match=re.escape(said)):
            fetch(f"http://127.0.0.1:{server.getsockname()[1]}/f", tmp_path / "f", quiet)
        thread.join()
    assert not names(tmp_path)


def test_an_address_or_a_token_that_is_none(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DragomanError, match="host/f: cannot be reached: unknown url type"):
        fetch("host/f", tmp_path / "f", quiet)
    monkeypatch.setenv("HF_TOKEN", "secret\n")
    hub(site, "train.parquet")
    assert main(["data", "get", "hf:some/set", "--into", str(tmp_path)]) == 0
    assert site.requests[0][1]["Authorization"] == "Bearer secret"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_two_downloads_of_one_file(site: Site, tmp_path: Path) -> None:
    """The second is refused while the first writes, so that bytes of both never mix."""
    site.files["/f"], refused = CONTENT, list[str]()

    def second(text: str) -> None:
        if text.endswith("begins"):
            with pytest.raises(DragomanError, match=r"f\.part: another process downloads it") as e:
                fetch(f"{site.url}/f", tmp_path / "f", quiet)
            refused.append(str(e.value))

    fetch(f"{site.url}/f", tmp_path / "f", second)
    assert len(refused) == 1
    assert (tmp_path / "f").read_bytes() == CONTENT and names(tmp_path) == {"f"}


def test_a_server_with_a_fault_or_none_at_all(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DragomanError, match="the server answers 500: .*try again later") as caught:
        fetch_json(f"{site.url}/fault")
    assert caught.value.exit_code == 1
    with pytest.raises(DragomanError, match="cannot be reached: .*is there a network") as caught:
        fetch("http://127.0.0.1:9/f", tmp_path / "f", quiet)
    assert caught.value.exit_code == 1 and not names(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>sorry</html>", "a page of the web, no file of pairs (it was not kept"),
        (b"Too many requests\n", "another file than promised: 18 bytes"),
        (b"", "another file than promised: 0 bytes, sha256 e3b0c442"),
        (zipped(readme="x", other="y"), "2 files inside, 1 expected: readme, other"),
        (zipped(**{"fra.txt": bytes(200_000_000)}), "binary data or UTF-16, not UTF-8 text"),
        (zipped(**{"fra.txt": b"a\tb\n" * 50_000_000}), "unpacks to more than 200 times its size"),
        (
            tatoeba()[:2000] + b"?" + tatoeba()[2001:],
            "damaged, cut short, or not packed by gzip, zip ... at all",
        ),
    ],
    ids=range(7),  # the archives hold the time
)
def test_an_archive_that_is_none(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    """Nothing stays behind."""
    site.files["/anki/fra-eng.zip"] = content
    assert main(["data", "get", "tatoeba:fra-eng", "--into", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not names(tmp_path)
