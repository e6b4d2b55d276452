"""The shadow: a second panel that tallies the same votes, to try it before it is deployed.

It changes no verdict and asks no voters: only votes that the panel asked for count.
"""

from typing import TYPE_CHECKING

from quorum.core.models import Shadow, Verdict
from quorum.vote import telemetry
from quorum.vote.tally import tally

if TYPE_CHECKING:
    from quorum.vote.panels import Panels


def shadowed(tenant: str, verdict: Verdict, panels: "Panels") -> Verdict:
    """`verdict` with the decision of its panel's shadow on the same votes, if there is a shadow.

    Never raises: a shadow's failure is logged and counted, and the verdict stands.
    """
    try:
        panel = panels.shadow_of(tenant, verdict.panel)
        if panel is None:
            return verdict
        outcome = tally(panel, verdict.votes, verdict.language, final=True)
        seen = Shadow(
            panel=panel.name,
            version=panel.version,
            decision=outcome.decision,
            score=outcome.score,
        )
    except Exception as error:  # noqa: BLE001 a shadow's failure never affects the verdict
        telemetry.shadow_failed(verdict, type(error).__name__)
        return verdict
    return verdict.model_copy(update={"shadow": seen})
