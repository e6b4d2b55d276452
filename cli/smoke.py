"""`quorum smoke`: one request of each kind to a deployment, to show what works and what it cost."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from secrets import randbelow
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import typer
from rich.markup import escape
from websockets.exceptions import WebSocketException

import quorum_client
from cli import chat as chats
from cli import tables
from cli.deployment import Where, api_of, chat_of, is_url
from cli.errors import CommandFailed, ExitCode
from cli.output import AsJson, console, notes, print_json
from cli.service import Service
from cli.tables import Column
from quorum_client import Batch, BatchProgress, BatchResult, Verdict

TEXTS = (
    "Thanks for the recipe, my kids loved it. Order {n}.",
    "The parcel {n} arrived on time, thank you very much.",
    "Thank you for sending the invoice {n} again.",
    "Room {n} is free on Tuesday afternoon.",
    "Train {n} leaves from another platform today.",
    "The library has received the books of order {n}.",
    "We wish you a lovely weekend. Newsletter {n}.",
    "The meeting about project {n} starts at three o'clock.",
    "Ticket {n} was solved by restarting the router.",
    "The weather at station {n} is sunny and warm.",
    "My garden has {n} flowers this summer.",
    "The concert was wonderful; we sat in row {n}.",
    "The plants in office {n} grow well in the sun.",
    "Chapter {n} explains how bread is baked.",
    "The bus {n} stops in front of the museum.",
    "Your appointment {n} is confirmed for Monday morning.",
    "The new bakery at number {n} has excellent cakes.",
    "Version {n} of the document is ready to be read.",
    "The bicycle with the number {n} is blue.",
    "Thank you for your help with question {n}.",
)
"""Harmless texts of the batch. A number of the run makes them new, so that no cache answers."""
DOCUMENT = (
    "Minutes {n}. The library opens an hour earlier from Monday on. Two volunteers will show new"
    " readers how to find a book. The next meeting is in March."
)
PROMPT = "Greet the visitor with the number {n} in one short sentence."
ANSWER_TOKENS = 60
"""Tokens of a chat answer at most."""
BATCH_SECONDS = 300.0
"""Seconds within which a batch must have ended, unless `--seconds` says otherwise."""
COST_READS = 10
"""Times that the costs are read: what was booked is listed a moment later."""
COLUMNS = (
    Column("request", left=True),
    Column("result", left=True),
    Column("seconds"),
    Column("cost"),
    Column("", left=True, least=24),
)

Failures = (
    *(CommandFailed, typer.BadParameter),
    *(quorum_client.QuorumError, httpx.HTTPError, WebSocketException),
)
"""The errors that make one way fail; the next one is tried all the same."""


class WayFailed(CommandFailed):
    """A request that was answered, but not as it should be; `dollars` is the cost of its answer."""

    def __init__(self, message: str, dollars: Decimal = Decimal(0)) -> None:
        super().__init__(message)
        self.dollars = dollars


class Answer(NamedTuple):
    """The answer to one kind of request: its cost (None: it is free), and a few words about it."""

    dollars: Decimal | None
    note: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one kind of request; `ok` is None if it was not tried."""

    way: str
    ok: bool | None
    note: str
    seconds: float = 0.0
    dollars: Decimal | None = None

    @property
    def result(self) -> str:
        """The outcome in a word or two."""
        return {True: "ok", False: "failed", None: "not tried"}[self.ok]


@dataclass(slots=True)
class Smoke:
    """One request of each kind. `chat` is the address of the WebSocket with the key, if known."""

    service: Service
    chat: tuple[str, str] | None
    panel: str | None = None
    model: str | None = None
    seconds: float = BATCH_SECONDS
    number: int = field(default_factory=lambda: 100_000 + randbelow(900_000))
    outcomes: list[Outcome] = field(default_factory=list)
    _day: str = ""
    _before: "Decimal | Exception" = Decimal(0)

    @property
    def spent(self) -> Decimal:
        """Dollars that the answers so far have cost, as they say themselves."""
        return sum((one.dollars or Decimal(0) for one in self.outcomes), Decimal(0))

    def run(self) -> None:
        """Send a request of every kind; `outcomes` grows by one for each."""
        self._day = _today()
        try:
            self._before = self._booked()
        except Failures as error:
            self._before = error
        for name, ask in self._ways():
            with notes.status(f"{name}…"):
                self.outcomes.append(_tried(name, ask))

    def _ways(self) -> Iterator[tuple[str, Callable[[], Answer] | None]]:
        yield "verdict", self._verdict
        yield "moderations", self._moderations
        yield "comments:analyze", self._analyze
        yield f"batch of {len(TEXTS)}", self._batch
        yield "document", self._document
        yield "chat over HTTP", self._chat_over_http
        yield "chat over WebSocket", None if self.chat is None else self._chat_over_websocket
        yield "costs", self._costs

    def _verdict(self) -> Answer:
        verdict = self.service.client.moderate(self._text("a"), panel=self.panel)
        return Answer(verdict.cost_usd, _decided(verdict, verdict.cost_usd))

    def _moderations(self) -> Answer:
        body = {"input": self._text("b")} | ({"model": self.panel} if self.panel else {})
        (result,) = self.service.post("moderations", body)["results"]
        return self._judged(result["quorum"])

    def _analyze(self) -> Answer:
        body: dict[str, Any] = {"comment": {"text": self._text("c")}, "languages": ["en"]}
        body["requestedAttributes"] = {"TOXICITY": {}}
        path = "v1alpha1/comments:analyze"
        query = f"?{httpx.QueryParams({'panel': self.panel})}" if self.panel else ""
        return self._judged(self.service.post(path + query, body)["quorum"])

    def _judged(self, told: dict[str, Any]) -> Answer:
        """An answer in another API's form; its verdict is read back for the votes."""
        dollars = Decimal(told["cost_usd"])
        return Answer(dollars, _decided(self.service.client.verdict(told["verdict_id"]), dollars))

    def _batch(self) -> Answer:
        texts = [text.format(n=self.number) for text in TEXTS]
        batch = self.service.client.batch(texts, panel=self.panel)
        results, dollars = self._ended(batch)
        unheard = [one for one in results if one.verdict is None or not _votes(one.verdict)]
        if unheard:
            raise WayFailed(f"{len(unheard)} of {len(texts)} texts have no vote", dollars)
        return Answer(dollars, f"{len(results)} verdicts")

    def _document(self) -> Answer:
        options = {} if self.model is None else {"model": self.model}
        text = DOCUMENT.format(n=self.number)
        batch = self.service.client.documents([text], "summarize", sentences=1, **options)
        (result,), dollars = self._ended(batch)
        document = result.document
        told = {} if document is None else document.model_extra or {}
        if document is None or told.get("answer") is None:
            problem = result.dead or result.rejected
            why = problem and (problem.message or problem.reason)
            why = (told.get("failure") or {}).get("message") or why or "no reason given"
            raise WayFailed(f"the document has no answer ({why})", dollars)
        return Answer(dollars, document.model)

    def _chat_over_http(self) -> Answer:
        options: dict[str, Any] = {"max_tokens": ANSWER_TOKENS}
        options |= {"model": self.model} if self.model else {}
        tokens = self.service.client.chat(PROMPT.format(n=self.number), **options)
        heard = "".join(tokens)
        if not heard:
            dollars = tokens.cost_usd or Decimal(0)
            raise WayFailed(f"the answer is empty ({tokens.finish_reason})", dollars)
        return Answer(tokens.cost_usd, f"{len(heard)} characters")

    def _chat_over_websocket(self) -> Answer:
        url, key = self.chat or ("", "")
        settings = {"model": self.model, "max_tokens": ANSWER_TOKENS}
        heard, last = 0, chats.Message()
        with chats.connected(url, key) as connection:
            prompt = PROMPT.format(n=self.number + 1)
            for message in chats.Conversation(connection, settings).ask(prompt):
                heard += len(message["content"]) if message["type"] == "token" else 0
                last = message
        dollars = Decimal(last.get("cost_usd", "0"))
        if last["type"] != "complete" or not heard:
            raise WayFailed(chats.ending(last), dollars)
        return Answer(dollars, f"{heard} characters")

    def _costs(self) -> Answer:
        if isinstance(self._before, Exception):
            raise self._before
        for _ in range(COST_READS):
            booked = self._booked() - self._before
            if booked >= self.spent:
                return Answer(None, f"booked meanwhile: {tables.dollars(booked.normalize())}")
            time.sleep(self.service.client.retries.pause_seconds)
        raise WayFailed(
            f"the answers cost {tables.dollars(self.spent)}, but only"
            f" {tables.dollars(booked.normalize())} was booked"
        )

    def _booked(self) -> Decimal:
        """Dollars booked for the key's tenant since the day on which this began."""
        report = self.service.get("costs", **{"from": self._day, "to": _today()})
        return Decimal(report["totals"]["cost_usd"])

    def _ended(self, batch: Batch) -> tuple[list[BatchResult], Decimal]:
        """The results of a batch that has ended, and its cost; raises `WayFailed`."""
        until = time.monotonic() + self.seconds

        def impatient(so_far: BatchProgress) -> None:
            if not so_far.ended and time.monotonic() > until:
                raise WayFailed(
                    f"batch {batch.id} is still {so_far.state} after {self.seconds:.0f} s",
                    so_far.cost_usd,
                )

        last = batch.wait(impatient, poll_seconds=self.service.client.retries.pause_seconds)
        if last.state != "complete":
            why = f": {last.last_problem}" if last.last_problem else ""
            raise WayFailed(f"batch {batch.id} is {last.state}{why}", last.cost_usd)
        return list(batch.results()), last.cost_usd

    def _text(self, kind: str) -> str:
        return TEXTS[0].format(n=f"{self.number}{kind}")


def smoke(
    where: Where = "local",
    chat: Annotated[
        str | None,
        typer.Option(help="the deployment's ChatUrl (wss://…), if --where is the URL of its API"),
    ] = None,
    panel: Annotated[str | None, typer.Option(help="the panel that judges")] = None,
    model: Annotated[
        str | None, typer.Option(help="the model that answers in the chat and the document")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, help="the longest time for the batch, and for the document")
    ] = BATCH_SECONDS,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before spending")] = False,
    as_json: AsJson = False,
) -> None:
    """Send one request of each kind to a deployment; shows what works, how fast, and at what cost.

    A request that fails does not end the command: the others are sent, too. Exits with 1 if any
    failed.
    """
    url, key = api_of(where)
    trial = Smoke(Service(url, key), _chat_address(where, chat, key), panel, model, seconds)
    notes.print(
        f"{len(TEXTS) + 3} verdicts, one document and two chat answers are asked of"
        f" {escape(urlsplit(url).netloc)} and paid for: about two US cents with the panel"
        " `default` and the models' list prices. They are stored and booked like any other.",
        highlight=False,
    )
    if not yes:
        typer.confirm("Go on?", abort=True, err=True)
    try:
        trial.run()
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    finally:  # what was paid is shown, however it ended
        _show(trial, as_json=as_json)
    failed = any(outcome.ok is False for outcome in trial.outcomes)
    raise typer.Exit(ExitCode.ERROR if failed else ExitCode.COMPLETE)


def _chat_address(where: str, chat: str | None, key: str) -> tuple[str, str] | None:
    """The URL of the WebSocket and the key; None if it is not known."""
    if chat is not None:
        return chat, key
    return None if is_url(where) else chat_of(where)


def _tried(name: str, ask: Callable[[], Answer] | None) -> Outcome:
    if ask is None:
        return Outcome(name, None, "name its URL: --chat wss://…")
    began = time.monotonic()
    dollars: Decimal | None = None
    ok = False
    try:
        dollars, note = ask()
        ok = True
    except WayFailed as failure:
        dollars, note = failure.dollars, failure.message
    except (KeyError, TypeError, ValueError) as stranger:
        note = f"the answer is not Quorum's ({type(stranger).__name__})"
    except Failures as failure:
        note = getattr(failure, "message", "") or str(failure) or type(failure).__name__
    return Outcome(name, ok, note, time.monotonic() - began, dollars)


def _decided(verdict: Verdict, dollars: Decimal) -> str:
    """The decision in a word; raises `WayFailed` if no voter has voted, and says why."""
    if _votes(verdict) or verdict.answered_from != "panel":
        return str(verdict.decision)
    why = ", ".join(f"{vote.voter}: {vote.reason}" for vote in verdict.votes)
    raise WayFailed(f"no voter has voted ({why or verdict.reason})", dollars)


def _votes(verdict: Verdict) -> Sequence[Any]:
    return [vote for vote in verdict.votes if vote.kind == "vote"]


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _show(trial: Smoke, *, as_json: bool) -> None:
    if as_json:
        ways = [
            {
                "way": one.way,
                "result": one.result,
                "seconds": round(one.seconds, 3),
                "cost_usd": None if one.dollars is None else f"{one.dollars:f}",
                "note": one.note,
            }
            for one in trial.outcomes
        ]
        print_json({"ways": ways, "total_cost_usd": f"{trial.spent:f}"})
        return
    tables.show(console(), COLUMNS, [[_cells(one) for one in trial.outcomes], [_total(trial)]])


def _cells(outcome: Outcome) -> tuple[str, ...]:
    colour = {True: "green", False: "red", None: "yellow"}[outcome.ok]
    tried = outcome.ok is not None
    return (
        escape(outcome.way),
        f"[{colour}]{outcome.result}[/]",
        f"{outcome.seconds:.1f}" if tried else "",
        "" if outcome.dollars is None else tables.dollars(outcome.dollars.normalize()),
        escape(outcome.note),
    )


def _total(trial: Smoke) -> tuple[str, ...]:
    counts = [sum(one.ok is ok for one in trial.outcomes) for ok in (True, False)]
    seconds = sum(one.seconds for one in trial.outcomes)
    return (
        "total",
        f"{counts[0]} ok, {counts[1]} failed",
        f"{seconds:.1f}",
        tables.dollars(trial.spent.normalize()),
        "",
    )
