"""The container of a gateway voter: apart from `votes`, which knows no gateway."""

from typing import TYPE_CHECKING

from quorum.app.gateway import GatewayContainer
from quorum.app.votes import VoteStoreContainer

if TYPE_CHECKING:
    from quorum.app.settings import VoteSettings


class VoterContainer(VoteStoreContainer, GatewayContainer):
    """What a gateway voter uses."""

    settings: "VoteSettings"
