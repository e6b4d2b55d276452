"""The container of a gateway voter, separate from `votes`, which imports no gateway."""

from typing import TYPE_CHECKING

from quorum.app.gateway import GatewayContainer
from quorum.app.votes import VoteStoreContainer

if TYPE_CHECKING:
    from quorum.app.settings import VoteSettings


class VoterContainer(VoteStoreContainer, GatewayContainer):
    """The members of a gateway voter."""

    settings: "VoteSettings"
