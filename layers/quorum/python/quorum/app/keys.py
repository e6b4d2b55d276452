"""The container of the authorizer."""

from functools import cached_property
from typing import TYPE_CHECKING

import boto3

from quorum.app.clients import client_config
from quorum.aws.keys import Keys

if TYPE_CHECKING:
    from quorum.app.settings import AuthorizeSettings


class KeysContainer:
    """What the authorizer uses."""

    def __init__(self, settings: "AuthorizeSettings") -> None:
        self.settings = settings

    @cached_property
    def keys(self) -> Keys:
        """The API keys, stored as hashes."""
        dynamodb = boto3.resource("dynamodb", config=client_config())
        return Keys(dynamodb.Table(self.settings.keys_table))
