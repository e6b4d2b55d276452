"""MiniStack whose Lambda processes share their unpacked layers.

MiniStack unpacks a function's layers, 209 MB in thousands of files, anew for each of its processes,
in the process that is also DynamoDB and Step Functions. Where many requests come at once, many
processes begin, and meanwhile nothing is answered: a list of 32 texts got 8 verdicts of its voters
in 26 s. A published layer never changes, so here each is unpacked once.

Run by MiniStack's own Python (`.ministack`), in which there is nothing of this project's.
"""

import os
import tempfile
import threading
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from ministack.app import main
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

_unpacked: dict[str, str] = {}
"""Folder by the digest of a layer's archive."""
_unpacking = threading.Lock()


def unpacked(archive: bytes) -> str:
    """The folder with a layer's files, which are written at its first use."""
    digest = sha256(archive).hexdigest()
    with _unpacking:
        if digest not in _unpacked:
            folder = Path(tempfile.mkdtemp(prefix="layer-"))
            packed = folder / "layer.zip"
            packed.write_bytes(archive)
            with zipfile.ZipFile(packed) as layer:
                layer.extractall(folder / "layer")
            packed.unlink()
            _unpacked[digest] = str(folder / "layer")
        return _unpacked[digest]


class Worker(lambda_runtime.Worker):  # type: ignore[misc] # MiniStack has no types
    """A Lambda's process, with the shared folders of its layers in place of its own."""

    config: dict[str, Any]

    def _spawn(self) -> None:
        own = self.config
        layers = own.get("Layers", [])
        archives = [lambda_svc._resolve_layer_zip(layer) for layer in layers]  # noqa: SLF001 there is no public one
        folders = os.pathsep.join(unpacked(archive) for archive in archives if archive)
        variables = own.get("Environment", {}).get("Variables", {})
        # Where a function has no layers, MiniStack leaves this variable as it is.
        shared = {"Variables": variables | {"_LAMBDA_LAYERS_DIRS": folders}}
        self.config = own | {"Layers": [], "Environment": shared}
        try:
            super()._spawn()
        finally:
            self.config = own


if __name__ == "__main__":
    lambda_runtime.Worker = Worker
    main()
