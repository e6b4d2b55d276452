"""The container of the authorizer."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.clients import Clients
from quorum.aws.keys import Keys

if TYPE_CHECKING:
    from quorum.app.settings import AuthorizeSettings


class KeysContainer(Clients):
    """The members of the authorizer."""

    settings: "AuthorizeSettings"

    @cached_property
    def keys(self) -> Keys:
        """The API keys, stored as hashes."""
        return Keys(self.dynamodb.Table(self.settings.keys_table))
