"""Bulk documents through the deployed template: queue, machine, ledger, dead letters."""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

from quorum import ledger

from bench.gateway import Fault, StandIn
from local.stack import Stack
from tests.e2e.conftest import Api

RUN = uuid4().hex[:8]
"""A stack that is kept between runs has the answers to an earlier run's texts."""
PATIENCE_SECONDS = 240
SETTLED = ("complete", "incomplete")


def hand_in(api: Api, documents: list[Any], **work: Any) -> str:
    answer = api.post("documents", {"documents": documents} | work)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def wait(api: Api, batch: str, done: Callable[[Any], bool] | None = None) -> Any:
    done = done or (lambda view: view["state"] in SETTLED)
    patience = time.monotonic() + PATIENCE_SECONDS
    while not done(view := api.get(f"batches/{batch}").json()):
        assert time.monotonic() < patience, view
        time.sleep(0.5)
    return view


def test_documents_are_answered(api: Api, stack: Stack, stand_in: StandIn) -> None:
    t = time.monotonic()
    batch = hand_in(
        api, [{"text": f"{RUN} one {n}. Two. Three."} for n in range(40)], operation="summarize"
    )
    view = wait(api, batch)
    print(time.monotonic() - t, view, api.get(f"batches/{batch}/results?limit=2").text)
    t = time.monotonic()
    long = " ".join(
        f"Sentence {n} of {RUN} says something, 日本語の文です。 한국어 문장이다. جملة عربية؟ 👨‍👩‍👧‍👦"
        for n in range(4000)
    )
    batch = hand_in(api, [{"text": long}], operation="summarize", model="deepseek-v3.2")
    view = wait(api, batch)
    print(time.monotonic() - t, view, api.get(f"batches/{batch}/results?limit=2").text)
    assert 0
