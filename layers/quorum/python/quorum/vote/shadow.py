"""The shadow: a second panel that tallies the same votes, to be looked at before it is deployed.

It changes no verdict. It asks nobody either: of its voters only those count that the panel asked.
"""

from typing import TYPE_CHECKING

from quorum.core.models import Shadow, Verdict
from quorum.vote import telemetry
from quorum.vote.tally import tally

if TYPE_CHECKING:
    from quorum.vote.panels import Panels


def shadowed(verdict: Verdict, panels: "Panels") -> Verdict:
    """`verdict` with what the shadow of its panel makes of the same votes, if there is one.

    Never raises: whatever is wrong with a shadow is logged and counted, and the verdict stands.
    """
    try:
        panel = panels.shadow_of(verdict.panel)
        if panel is None:
            return verdict
        outcome = tally(panel, verdict.votes, verdict.language, final=True)
        seen = Shadow(
            panel=panel.name,
            version=panel.version,
            decision=outcome.decision,
            score=outcome.score,
        )
    except Exception as error:  # noqa: BLE001 whatever it is, it is only a shadow's
        telemetry.shadow_failed(verdict, type(error).__name__)
        return verdict
    return verdict.model_copy(update={"shadow": seen})
