"""Messages to webhooks over real sockets: the address, the certificate's name, time and answers."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from quorum.events.sending import DeliveryFailure, Sender, Sent
from quorum.gateway.model_hosts import ModelHosts

NAME = "hooks.example.com"
HERE = ["127.0.0.1"]
OK = b"HTTP/1.1 204 No Content\r\n\r\n"

Serve = Callable[..., int]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `NAME` with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("certificate") / "hooks.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(pem))
    return file


@pytest.fixture
def requests() -> list[bytes]:
    """What the receivers were sent."""
    return []


@pytest.fixture
def serve(requests: list[bytes], certificate: Path) -> Iterator[Serve]:
    """Start a receiver that sends `pieces`, with a pause after each; returns its port."""
    with ExitStack() as started:

        def start(*pieces: bytes, pause: float = 0.0, tls: bool = False) -> int:
            listening = started.enter_context(socket.create_server(("127.0.0.1", 0)))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)

            def answer() -> None:
                try:
                    plain, _ = listening.accept()
                    with plain:
                        taken = context.wrap_socket(plain, server_side=True) if tls else plain
                        with taken:
                            requests.append(_read(taken))
                            for piece in pieces:
                                taken.sendall(piece)
                                time.sleep(pause)
                except OSError:
                    return  # the sender has hung up

            threading.Thread(target=answer, daemon=True).start()
            started.callback(_unblock, listening)
            port: int = listening.getsockname()[1]
            return port

        yield start


def _read(taken: socket.socket) -> bytes:
    """The request with its body, which ends with a brace."""
    request = b""
    while not request.endswith(b"}"):
        request += taken.recv(65_536)
    return request


def _unblock(listening: socket.socket) -> None:
    """End the wait of a receiver that nobody asked."""
    with suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)


def send(port: int, *, seconds: float = 5.0) -> Sent:
    """A message to a receiver, under a name that only the test resolves."""
    allowed = ModelHosts(f"http://{NAME}:{port}")
    sender = Sender(allowed, resolve=lambda _host, _port: HERE, seconds=seconds)
    return sender.send(f"http://{NAME}:{port}/hook?a=b", b'{"a":1}', {"webhook-id": "evt_1"})


def test_a_message_goes_to_the_address_that_was_checked_under_the_hosts_name(
    serve: Serve, requests: list[bytes]
) -> None:
    port = serve(OK)
    assert send(port) == Sent(204)
    (request,) = requests
    assert request.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert f"Host: {NAME}:{port}\r\n".encode().lower() in request.lower()
    assert b"webhook-id: evt_1\r\n" in request
    assert request.endswith(b'\r\n\r\n{"a":1}')


def test_the_certificate_is_that_of_the_name_and_not_of_the_address(
    serve: Serve, certificate: Path
) -> None:
    def over_tls(name: str) -> Sent:
        port = serve(OK, tls=True)
        sender = Sender(
            ModelHosts(f"{name}:{port}"),
            resolve=lambda _host, _port: HERE,
            context=ssl.create_default_context(cafile=str(certificate)),
        )
        return sender.send(f"https://{name}:{port}/", b"{}", {})

    assert over_tls(NAME) == Sent(204)
    assert over_tls("other.example.com") == Sent(failure=DeliveryFailure.UNREACHABLE)


def test_a_redirect_is_not_followed(serve: Serve, requests: list[bytes]) -> None:
    inside = serve(OK)
    there = f"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:{inside}/\r\n\r\n".encode()
    assert send(serve(there)) == Sent(307, DeliveryFailure.REDIRECT)
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 500 Oh\r\n\r\n", Sent(500, DeliveryFailure.STATUS)),
        (b"HTTP/1.1 410 Gone\r\n\r\n", Sent(410, DeliveryFailure.GONE)),
        (b"no HTTP at all\r\n\r\n", Sent(failure=DeliveryFailure.UNREACHABLE)),
        (b"", Sent(failure=DeliveryFailure.UNREACHABLE)),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 40_000, Sent(failure=DeliveryFailure.UNREACHABLE)),
    ],
)
def test_an_answer_that_is_no_success_says_what_it_is(
    serve: Serve, answer: bytes, failure: Sent
) -> None:
    assert send(serve(answer)) == failure


def test_of_an_endless_answer_only_the_status_is_read(serve: Serve) -> None:
    port = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", pause=3)
    began = time.monotonic()
    assert send(port) == Sent(200)
    assert time.monotonic() - began < 2


def test_a_receiver_that_sends_a_byte_now_and_then_is_cut_off(serve: Serve) -> None:
    port = serve(*[b"H"] * 30, pause=0.1)
    began = time.monotonic()
    assert send(port, seconds=0.5) == Sent(failure=DeliveryFailure.TIMED_OUT)
    assert time.monotonic() - began < 2


def test_a_name_that_takes_long_to_resolve_is_a_time_out(serve: Serve) -> None:
    port, answered = serve(OK), threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        answered.wait(20)
        return HERE

    sender = Sender(ModelHosts(f"http://{NAME}:{port}"), resolve=resolve, seconds=0.2)
    began = time.monotonic()
    sent = sender.send(f"http://{NAME}:{port}/", b"{}", {})
    assert sent == Sent(failure=DeliveryFailure.TIMED_OUT)
    assert time.monotonic() - began < 2
    answered.set()
