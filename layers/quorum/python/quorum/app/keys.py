"""The members that have to do with keys, and the container of the authorizer."""

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from quorum.app.clients import Clients
from quorum.aws.clients import BRIEF, Patience
from quorum.aws.key_limits import KeyLimits
from quorum.aws.keys import Keys

if TYPE_CHECKING:
    from quorum.app.settings import KeySettings, KeyUseSettings


class KeyLimitsContainer(Clients):
    """The member of functions that count the requests of keys."""

    settings: "KeyUseSettings"

    @cached_property
    def key_limits(self) -> KeyLimits:
        """The counts of each key's requests."""
        return KeyLimits(self.dynamodb, self.settings.key_use_table, clock=self.clock)


class KeysContainer(KeyLimitsContainer):
    """The members of functions that read keys."""

    settings: "KeySettings"

    @cached_property
    def keys(self) -> Keys:
        """The API keys, stored as hashes."""
        settings = self.settings
        return Keys(self.dynamodb, settings.keys_table, settings.key_use_table, clock=self.clock)


class AuthorizeContainer(KeysContainer):
    """The members of the authorizer, which has few seconds."""

    patience: ClassVar[Patience] = BRIEF
