"""One exchange as bytes on the wire, and what httplint has to say of it."""

import http.client
import socket
import time
from dataclasses import dataclass

from httplint import HttpRequestLinter, HttpResponseLinter
from httplint.note import levels


@dataclass
class Exchange:
    """A request that was sent and the answer to it."""

    verb: str
    uri: str
    sent: list
    body: bytes
    status: int
    reason: str
    headers: list
    content: bytes


def exchange(port, verb, target, headers=(), body=b"", length=None):
    """Sends one request on a connection of its own. `length` is announced instead of the body's own."""
    host = f"127.0.0.1:{port}"
    sent = [("Host", host), ("User-Agent", "e2e/httplint"), ("Connection", "close"), *headers]
    if body or length is not None:
        sent.append(("Content-Length", str(len(body) if length is None else length)))
    head = f"{verb} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode() + b"\r\n" + body)
        answer = http.client.HTTPResponse(connection, method=verb)
        answer.begin()
        content = answer.read()
    uri = f"http://{host}{target}" if target.startswith("/") else target
    return Exchange(verb, uri, sent, body, answer.status, answer.reason, answer.getheaders(), content)


def complaints(made):
    """The names of httplint's notes on the answer that are not praise or plain information, each with its summary."""
    request = HttpRequestLinter()
    request.process_request_topline(made.verb.encode(), made.uri.encode(), b"HTTP/1.1")
    request.process_headers(encoded(made.sent))
    request.feed_content(made.body)
    request.finish_content(True)
    answer = HttpResponseLinter(start_time=time.time())
    answer.request = request
    answer.base_uri = made.uri
    answer.is_head_response = made.verb == "HEAD"
    answer.process_response_topline(b"HTTP/1.1", str(made.status).encode(), made.reason.encode())
    answer.process_headers(encoded(made.headers))
    answer.feed_content(made.content)
    answer.finish_content(True)
    return {type(note).__name__: note.summary for note in flat(answer.notes) if note.level in (levels.BAD, levels.WARN)}


def encoded(headers):
    """Header lines as bytes."""
    return [(name.encode(), value.encode("latin-1")) for name, value in headers]


def flat(notes):
    """Notes and the notes under them."""
    for note in notes:
        yield note
        yield from flat(note.subnotes)
