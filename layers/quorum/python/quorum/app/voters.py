"""The container of gateway voters, separate from `votes`, which imports no gateway."""

from typing import TYPE_CHECKING, ClassVar

from quorum.app.gateway import GatewayContainer
from quorum.app.votes import VoteStoreContainer
from quorum.aws.clients import WITHIN_A_VOTE, Patience

if TYPE_CHECKING:
    from quorum.app.settings import VoteSettings


class VoterContainer(VoteStoreContainer, GatewayContainer):
    """The members of a gateway voter, and of the one that asks any model."""

    settings: "VoteSettings"
    patience: ClassVar[Patience] = WITHIN_A_VOTE
