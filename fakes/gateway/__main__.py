"""``python -m fakes.gateway``: run a stand-in until interrupted."""

import argparse
from pathlib import Path

from fakes.gateway.scenario import Scenario
from fakes.gateway.server import StandIn, base_url, server
from fakes.gateway.votes import RecordedVotes


def main() -> None:
    """Read the arguments, print the address, serve."""
    parser = argparse.ArgumentParser(prog="fakes.gateway", description=__doc__)
    parser.add_argument("--port", type=int, default=8600, help="0 for any free port")
    parser.add_argument("--scenario", type=Path, help="a JSON file; see fakes/gateway/scenario.py")
    parser.add_argument("--votes", type=Path, help="a CSV of recorded votes to answer from")
    arguments = parser.parse_args()
    scenario = (
        Scenario.model_validate_json(arguments.scenario.read_bytes())
        if arguments.scenario
        else Scenario()
    )
    recorded = RecordedVotes.load(arguments.votes) if arguments.votes else None
    stand_in = StandIn(scenario, recorded)
    serving, listening = server(stand_in.app(), arguments.port)
    print(base_url(listening), flush=True)
    serving.run([listening])


if __name__ == "__main__":
    main()
