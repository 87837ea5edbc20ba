"""Downloads files over HTTP: resumed where an earlier try ended, verified, never half-written."""

import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dragoman.data.streams import PACKINGS, opened
from dragoman.errors import DataError, DragomanError
from dragoman.files import parse_json, replacing
from dragoman.lock import take

_BLOCK = 1 << 18
_SECONDS = 60
"""A connection that brings no byte for so long is given up."""
_MOST_JSON = 1 << 26
"""Most bytes of an answer in JSON."""
Say = Callable[[str], None]


def fetch_json(url: str, token: str = "") -> Any:
    """Fetch JSON from ``url``.

    Raises:
        DataError: there is no such page.
        DragomanError: the server cannot be reached or has a fault.
        ValueError: the answer is no JSON.
    """
    with _naming(url), _open(url, token) as response:
        raw = response.read(_MOST_JSON)
    return parse_json(raw.decode())


def fetch(
    url: str, path: Path, say: Say, *, token: str = "", size: int | None = None, sha256: str = ""
) -> None:
    """Download ``url`` to ``path``, which appears once it is whole and verified.

    Until then the bytes stand beside it in a file that ends in ``.part``; the next call goes on
    from there.

    Args:
        url: the address; up to ten redirections are followed.
        path: the file to write, in an existing folder.
        say: receives each line that the user should read.
        token: sent to this address, not to where it redirects.
        size: the bytes that the file must have, if known.
        sha256: the digest that it must have, if known.

    Raises:
        DataError: there is no such page, it is another file than promised, or one that cannot be
            read, such as a damaged archive or a page that tells of an error.
        DragomanError: the server cannot be reached, has a fault, or breaks off.
    """
    part = path.with_name(f"{path.name}.part")
    have = part.stat().st_size if part.exists() else 0
    with _naming(url), _open(url, token, have) as response, part.open("ab") as file:
        goes_on = response.status == http.client.PARTIAL_CONTENT
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise DataError("sends another part than asked for", place=url, cure="try again")
        if file.tell() != have or not take(file):
            raise DragomanError("another process downloads it", place=str(part), cure="wait")
        file.truncate(have if goes_on else 0)
        say(f"{path}: {f'goes on after {have:,} bytes' if goes_on else 'begins'}")
        while block := response.read(_BLOCK):
            file.write(block)
        if response.length:  # bytes that were promised and did not come
            raise http.client.IncompleteRead(b"", response.length)
        file.flush()
        try:
            with part.open("rb") as written, ExitStack() as stack:
                digest, has = hashlib.file_digest(written, "sha256").hexdigest(), written.tell()
                whole, right = opened(part, stack), size in (None, has) and sha256 in ("", digest)
                if not right or (path.suffix in PACKINGS and whole.on_disk):
                    raise DataError(f"another file than promised: {has:,} bytes, sha256 {digest}")
                while whole.stream.read(_BLOCK):  # a packed file has a checksum of its content
                    pass
        except DataError as error:
            file.close()  # Windows removes no open file
            part.unlink()
            raise DataError(error.cause, place=url, cure="it was not kept; try again") from error
    with replacing(path) as aside:
        os.replace(part, aside)
    say(f"{path}: {has:,} bytes, sha256 {digest}")


def _open(url: str, token: str, have: int = 0) -> Any:
    """Request ``url`` from byte ``have`` on; returns the open response.

    Raises:
        URLError: the address is not HTTP, the server cannot be reached, or it refuses.
    """
    headers = {"User-Agent": "dragoman"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)
    if request.type not in ("http", "https"):
        raise urllib.error.URLError("not an http or https address")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        return urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        return _open(url, token)  # there is nothing after these bytes: begin again


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Context manager; what the network raises becomes a DataError or DragomanError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        cause = f"the server answers {error.code}: {(str(error.reason) or '?').splitlines()[0]}"
        if error.code >= 500:
            raise DragomanError(cause, place=url, cure="try again later") from error
        raise DataError(cause, place=url, cure="is the name right?") from error
    except (urllib.error.URLError, ValueError) as error:  # ValueError: it is no address
        cause = f"cannot be reached: {getattr(error, 'reason', error)}"
        raise DragomanError(cause, place=url, cure="is there a network?") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        cause = f"broke off: {error or 'no bytes came'}"
        raise DragomanError(cause, place=url, cure="the same command goes on from there") from error
