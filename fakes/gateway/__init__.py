"""A stand-in for the gateway: a small real HTTP server that speaks its wire format.

``python -m fakes.gateway --port 8600 --scenario FILE.json`` starts one; tests start one in a
thread with `running`. The scenario sets faults, rates and speed; the same
seed gives the same answers and, request for request, the same faults.
"""

from fakes.gateway.scenario import Fault, ModelScenario, Scenario, TooFast
from fakes.gateway.server import StandIn, running, serving
from fakes.gateway.votes import RecordedVotes

__all__ = [
    "Fault",
    "ModelScenario",
    "RecordedVotes",
    "Scenario",
    "StandIn",
    "TooFast",
    "running",
    "serving",
]
