"""The discovery document of the Perspective API's form, for Google's clients. Pure.

Format: "Google API Discovery Service", "Using the discovery document". It is packaged as data; only
the addresses are those of the deployment that is asked.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import ConfigDict

from quorum.core.models import Frozen


class DiscoveryDocument(Frozen):
    """A description of the Perspective API's form, and of where it is served."""

    model_config = ConfigDict(extra="allow", alias_generator=None)

    kind: str
    name: str
    version: str
    rootUrl: str  # noqa: N815 Google's name
    servicePath: str  # noqa: N815 Google's name


@cache
def _packaged() -> dict[str, Any]:
    text = (files("quorum.vote") / "discovery.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def document(root_url: str) -> DiscoveryDocument:
    """The document of the API under `root_url`, which ends with a slash."""
    addresses = {"rootUrl": root_url, "baseUrl": root_url}
    return DiscoveryDocument.model_validate(_packaged() | addresses)
