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
    with ExitStack() as stack:
        with _naming(url), _open(url, token, have) as response:
            goes_on = response.status == http.client.PARTIAL_CONTENT
            told = response.headers.get("Content-Range", "")
            if goes_on and not told.startswith(f"bytes {have}-"):
                raise DataError("sends another part than asked for", place=url, cure="try again")
            file = stack.enter_context(part.open("ab"))
            if file.tell() != have or not take(file):
                cause = "another process downloads it"
                raise DragomanError(cause, place=str(part), cure="wait for it")
            file.truncate(have if goes_on else 0)
            say(f"{path}: {f'goes on after {have:,} bytes' if goes_on else 'begins'}")
            while block := response.read(_BLOCK):
                file.write(block)
            if response.length:  # bytes that were promised and did not come
                raise http.client.IncompleteRead(b"", response.length)
        file.flush()
        try:
            digest = _verified(part, path.suffix, size, sha256)
        except DataError as error:
            stack.close()
            part.unlink()
            raise DataError(error.cause, place=url, cure="it was not kept; try again") from error
    with replacing(path) as aside:
        os.replace(part, aside)
    say(f"{path}: {digest}")


def _verified(part: Path, ending: str, size: int | None, sha256: str) -> str:
    """Size and digest of a file in words.

    Raises:
        DataError: they are not those promised, or the file is not what its ``ending`` says.
    """
    with part.open("rb") as file:
        digest, has = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    told = f"{has:,} bytes, sha256 {digest}"
    if size not in (None, has) or sha256 not in ("", digest):
        raise DataError(f"another file than promised: {told}")
    with ExitStack() as stack:
        unpacked = opened(part, stack)
        if ending in PACKINGS and unpacked.on_disk:
            raise DataError(f"another file than promised, not packed as {ending}: {told}")
        while unpacked.stream.read(_BLOCK):  # a packed file has a checksum of its content
            pass
    return told


def _open(url: str, token: str, have: int = 0) -> Any:
    """Request ``url`` from byte ``have`` on; returns the open response.

    Raises:
        URLError: the address is not HTTP, the server cannot be reached, or it refuses.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "dragoman"})
    if request.type not in ("http", "https"):
        raise urllib.error.URLError("not an http or https address")
    if have:
        request.add_header("Range", f"bytes={have}-")
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
        reason = str(error.reason or http.client.responses.get(error.code, "no reason"))
        cause = f"the server answers {error.code}: {reason.splitlines()[0]}"
        if error.code >= 500:
            raise DragomanError(cause, place=url, cure="try again later") from error
        raise DataError(cause, place=url, cure="is the name right?") from error
    except (urllib.error.URLError, ValueError) as error:  # ValueError: it is no address
        cause = f"cannot be reached: {getattr(error, 'reason', error)}"
        raise DragomanError(cause, place=url, cure="is there a network?") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        cause = f"broke off: {error or 'no bytes came'}"
        raise DragomanError(cause, place=url, cure="the same command goes on from there") from error
