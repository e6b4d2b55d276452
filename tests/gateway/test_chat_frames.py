"""A long message of the command line, against a server with API Gateway's limit of a frame."""

import json
import threading
from collections.abc import Iterator

import pytest
from quorum.chat.chat import FRAME_BYTES, MESSAGE_BYTES
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from cli.chat import Conversation

LONG = "가" * 15_000  # as JSON in ASCII six bytes each: three frames


@pytest.fixture
def url() -> Iterator[str]:
    """A server that ends a connection with 1009 on a larger frame, and else says what it heard."""

    def hear(connection: ServerConnection) -> None:
        for message in connection:
            told = json.loads(message)
            told |= {"type": "complete", "heard": len(told["prompt"])}
            connection.send(json.dumps(told))

    with serve(hear, "127.0.0.1", 0, max_size=(MESSAGE_BYTES, FRAME_BYTES)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def test_a_prompt_longer_than_a_frame_arrives_whole(url: str) -> None:
    with connect(url) as connection:
        (message,) = Conversation(connection, {}).ask(LONG)
    assert message["heard"] == len(LONG)


def test_in_one_frame_it_would_end_the_connection(url: str) -> None:
    with connect(url) as connection:
        connection.send(json.dumps({"prompt": LONG}))
        with pytest.raises(ConnectionClosed, match="1009"):
            connection.recv(timeout=10)
