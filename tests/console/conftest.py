"""The console's handler on moto, with what waits for reviewers, and a client like a browser."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from quorum.aws.keys import Caller
from quorum.batch.progress import Kind
from quorum.batch.records import FailedItem
from quorum.core.models import Content, Verdict
from quorum.core.position import BatchPosition
from quorum.vote.evaluation import conclude_at_once
from quorum.vote.policy import DEFAULT, Policy, PolicyDocument

from fakes.console import STAGE, event_of
from functions.console import app as console
from tests import make
from tests.functions.conftest import (  # noqa: F401 fixtures that these tests share with handlers'
    FailingMachine,
    aws,
    context,
    reopen,
    within,
)

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer

HOST = "api.example.com"


@pytest.fixture
def container(
    aws: Any,  # noqa: F811 the fixture
    within: Callable[[str], None],  # noqa: F811 the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> "ConsoleContainer":
    """The container of the function, in the environment that the template gives it."""
    within("ConsoleFunction")
    reopen(console)
    opened = console.app()
    monkeypatch.setattr(type(opened), "step_functions", FailingMachine())
    return opened


Issue = Callable[..., str]


@pytest.fixture
def issue(container: "ConsoleContainer") -> Issue:
    """Issue a key, an operator's by default."""

    def new(name: str = "ada", *, tenant: str = "acme", **rights: Any) -> str:
        caller = Caller(tenant=tenant, name=name, **{"role": "operator"} | rights)
        return container.keys.issue(caller)

    return new


Store = Callable[..., Verdict]


@pytest.fixture
def store(container: "ConsoleContainer") -> Store:
    """Store a verdict that waits for a person, and came so many minutes ago."""

    def put(name: str, minutes: float = 0, *, tenant: str = "acme", **changes: Any) -> Verdict:
        came = datetime.fromtimestamp(container.clock(), UTC) - timedelta(minutes=minutes)
        started: dict[str, Any] = {
            "started_at": came.timestamp() - 0.4,
            "deadline": came.timestamp() + 22,
        }
        evaluation = make.evaluation(verdict_id=name, tenant=tenant, **started)
        said = changes.pop("said", "needs_review")
        scores = changes.pop("scores", {})
        reason = changes.pop("reason", "")
        votes = [
            make.cast(voter, said, confidence=1.0, scores=scores, reason=reason)
            for voter in evaluation.panel.voters
        ]
        verdict = conclude_at_once(evaluation, votes, DEFAULT, now=came.timestamp())
        content = Content(text=changes.pop("text", f"the text of {name}"))
        return container.verdicts.record(tenant, content, verdict.model_copy(update=changes))

    return put


BATCH = "0123456789abcdef0123456789abcdef"
ATTACK = "<script>alert(1)</script>\"'"


def new_batch(container: "ConsoleContainer", name: str = BATCH, *, tenant: str = "acme") -> None:
    """A batch of four items: one is rejected, one is dead, and two are pending."""
    container.batches.create(tenant, name, kind=Kind.ITEMS, items=4, panel="default")
    container.batches.note(tenant, name, received=True)
    reject(container, 0, name=name, tenant=tenant)
    reason = {"reason": ATTACK, "at": "2026-11-27T00:00:00+00:00"}
    dead = FailedItem(BatchPosition(batch=name, index=1), reason)
    container.batches.mark_failed(tenant, "dead", [dead])


def reject(
    container: "ConsoleContainer", *indexes: int, name: str = BATCH, tenant: str = "acme"
) -> None:
    """Reject items of a batch."""
    reason = {"code": "invalid_content", "message": "content: is empty"}
    items = [FailedItem(BatchPosition(batch=name, index=index), reason) for index in indexes]
    container.batches.mark_failed(tenant, "rejected", items)


def put_policy(container: "ConsoleContainer", name: str, *instructions: str) -> None:
    """Put versions of a policy in force, one after the other."""
    for each in instructions:
        policy = Policy.of(name, PolicyDocument(instructions=each))
        container.policies.put(
            "acme",
            policy,
            "tests",
            expected=None,
            now=datetime.fromtimestamp(container.clock(), UTC),
        )


class Client:
    """A browser without scripts: it keeps cookies and sends the forms that pages have."""

    def __init__(self, sent_to: Any, at: Any) -> None:
        self._context = at
        self._handler = sent_to
        self.cookies: dict[str, str] = {}
        self.headers = {
            "Host": HOST,
            "X-Forwarded-Proto": "https",
            "Sec-Fetch-Site": "same-origin",
            "Accept-Language": "en",
        }
        self.status = 0
        self.body = ""
        self.answer: dict[str, Any] = {}
        self.place = "/console"

    def send(
        self,
        method: str,
        place: str,
        form: dict[str, str] | list[tuple[str, str]] | None = None,
        **headers: str | None,
    ) -> "Client":
        """One request, without following where it leads."""
        sent = self.headers | {
            name.replace("_", "-"): value for name, value in headers.items() if value is not None
        }
        for name in [name.replace("_", "-") for name, value in headers.items() if value is None]:
            del sent[name]
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None if form is None else urlencode(form)
        self.answer = self._handler(event_of(method, place, sent, body), self._context)
        self.place, self.status = place, self.answer["statusCode"]
        self.body = self.answer["body"]
        for cookie in self.answer["multiValueHeaders"].get("Set-Cookie", []):
            for name, morsel in SimpleCookie(cookie).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return self

    def get(self, path: str = "", **headers: str | None) -> "Client":
        """A page within the console, and wherever it leads."""
        return self.send("GET", f"/console/{path}".rstrip("/"), None, **headers).follow()

    def post(self, path: str, form: dict[str, Any] | None = None, **headers: Any) -> "Client":
        """A form of this session, and wherever it leads."""
        token = {"form_token": self.form_token} if self.form_token else {}
        fields = [
            (name, each)
            for name, value in (token | (form or {})).items()
            for each in (value if isinstance(value, list) else [value])
        ]
        return self.send("POST", f"/console/{path}", fields, **headers).follow()

    def follow(self) -> "Client":
        """Go where the answer leads."""
        while self.status == 303:
            (location,) = self.answer["multiValueHeaders"]["Location"]
            self.send("GET", self.address(location))
        return self

    def address(self, link: str) -> str:
        """Where a link on this page leads, without the stage."""
        found = urlsplit(urljoin(f"https://{HOST}{STAGE}{self.place}", link))
        assert found.netloc == HOST
        path = found.path.removeprefix(STAGE)
        return f"{path}?{found.query}" if found.query else path

    @property
    def form_token(self) -> str:
        """The token that the forms of this page have."""
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.body)
        return found[1] if found else ""

    @property
    def text(self) -> str:
        """The page without tags."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.body)).split())

    def header(self, name: str) -> str:
        """A header of the answer."""
        (value,) = self.answer["multiValueHeaders"][name]
        return str(value)

    def sign_in(self, key: str) -> "Client":
        """Sign in with a key."""
        return self.post("sign-in", {"key": key})


@pytest.fixture
def client(container: "ConsoleContainer", context: Any) -> Client:  # noqa: F811 the fixture
    """A browser that is not signed in."""
    return Client(console.handler, context)


@pytest.fixture
def ada(client: Client, issue: Issue) -> Client:
    """A browser of an operator called ada."""
    client.sign_in(issue())
    assert client.status == 200, client.text
    return client
