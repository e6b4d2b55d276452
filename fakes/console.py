"""The console on a port of this machine: a stand-in for API Gateway before its handler.

Addresses have a stage before them, as at API Gateway's own address.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

STAGE = "/v1"
ROOT = "/console"
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def event_of(
    method: str, target: str, headers: dict[str, str], body: str | None = None
) -> dict[str, Any]:
    """API Gateway's event for a request within the stage."""
    address = urlsplit(target)
    proxy = unquote(address.path).removeprefix(ROOT).removeprefix("/")
    resource = f"{ROOT}/{{proxy+}}" if proxy else ROOT
    return {
        "resource": resource,
        "path": unquote(address.path),
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": None,
        "queryStringParameters": dict(parse_qsl(address.query)) or None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": proxy} if proxy else None,
        "requestContext": {
            "path": STAGE + address.path,
            "resourcePath": resource,
            "httpMethod": method,
            "stage": STAGE.strip("/"),
            "requestId": "00000000-0000-0000-0000-000000000000",
        },
        "body": body,
        "isBase64Encoded": False,
    }


@contextmanager
def served(handler: Handler, context: Any) -> Iterator[str]:
    """The address of the console while `handler` answers there, one request after the other."""
    lock = Lock()

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_told: Any) -> None:
            """Say nothing."""

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length).decode() if length else None
            target = self.path.removeprefix(STAGE)
            event = event_of(self.command, target, dict(self.headers.items()), body)
            with lock:
                answer = handler(event, context)
            sent = str(answer["body"]).encode()
            self.send_response(answer["statusCode"])
            for name, values in answer["multiValueHeaders"].items():
                for value in values:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{STAGE}{ROOT}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
