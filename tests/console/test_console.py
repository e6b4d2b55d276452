"""The console's frame: sessions, forms that are ours, headers, languages, and hostile texts."""

import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from quorum.api.idempotency import IN_PROGRESS
from quorum.audit import trail
from quorum.audit.chain import Action, Change
from quorum.aws.sessions import IDLE_SECONDS, SESSION_SECONDS
from quorum.console import shortcuts
from quorum.console.pages import PAGES, trial
from quorum.console.site import NAVIGATION
from quorum.console.words import WORDS
from quorum.core.errors import Conflict
from quorum.core.models import CategoryScore

from tests.clock import Clock
from tests.console.conftest import Client, Issue, Store
from tests.template import ROOT
from tests.unit.test_event_changes import verdict

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}\"'&\u202e\u200b"
STATIC = ROOT / "functions/console/static"
PLACES = [entry.path for entry in NAVIGATION]


@pytest.fixture
def moving(container: "ConsoleContainer", clock: Clock) -> Clock:
    """The clock of the function, for the test to move."""
    container.clock = clock
    return clock


def another(client: Client) -> Client:
    """Another browser before the same console."""
    return Client(client._handler, client._context)  # noqa: SLF001 a second one of the same


@pytest.mark.parametrize("path", ["", *PLACES, "review/verdict-1", "no-such-page"])
def test_without_a_session_every_page_asks_for_a_key(client: Client, path: str) -> None:
    client.get(path)
    assert client.status == 401
    assert "Sign in" in client.text
    assert not client.cookies


def test_a_key_opens_a_session_that_only_the_browser_knows(
    client: Client, issue: Issue, aws: Any
) -> None:
    key = issue()
    client.send("POST", "/console/sign-in", {"key": key})
    cookie = client.header("Set-Cookie")
    assert cookie.startswith("__Host-quorum-session=")
    assert {"Path=/", "HttpOnly", "SameSite=Strict", "Secure"} <= set(cookie.split("; "))
    stored = json.dumps(aws.Table("SessionsTable").scan()["Items"], default=str)
    assert next(iter(client.cookies.values())) not in stored
    assert key not in stored
    assert client.follow().status == 200
    assert "Signed in as ada" in client.text


@pytest.mark.parametrize(
    ("host", "secure"),
    [("localhost:4566", False), ("127.0.0.1:80", False), ("localhost.example.com", True)],
)
def test_a_cookie_is_sent_without_encryption_to_this_machine_only(
    client: Client,
    issue: Issue,
    host: str,
    secure: bool,
) -> None:
    client.headers |= {"Host": host, "X-Forwarded-Proto": "http"}
    client.send("POST", "/console/sign-in", {"key": issue()})
    assert ("; Secure" in client.header("Set-Cookie")) is secure


@pytest.mark.parametrize("rights", [{"role": "member"}, {"scopes": ("moderate", "batch")}])
def test_a_key_with_neither_of_the_scopes_is_refused(
    client: Client, issue: Issue, rights: dict[str, Any]
) -> None:
    client.sign_in(issue(**rights))
    assert client.status == 403
    assert not client.cookies
    assert client.sign_in("qk_unknown").status == 403


def test_a_session_ends_when_idle_and_after_a_day_of_work(moving: Clock, ada: Client) -> None:
    began = moving.now
    moving.now += IDLE_SECONDS - 1
    assert ada.get("review").status == 200
    while moving.now + IDLE_SECONDS - 60 < began + SESSION_SECONDS:
        moving.now += IDLE_SECONDS - 60
        assert ada.get("review").status == 200
    moving.now = began + SESSION_SECONDS
    assert ada.get("review").status == 401
    assert "Signed out" in ada.text


def test_a_page_that_asks_by_itself_keeps_no_session_alive(moving: Clock, ada: Client) -> None:
    for _ in range(3):
        moving.now += IDLE_SECONDS / 4
        assert ada.get("batches", Quorum_Background="1").status == 200
    moving.now += IDLE_SECONDS / 4
    assert ada.get("batches", Quorum_Background="1").status == 401
    assert "HX-Refresh" not in ada.answer["multiValueHeaders"]
    ada.get("batches", HX_Request="true")  # takes no page that asks for a key into another page
    assert (ada.status, ada.header("HX-Refresh")) == (401, "true")


def test_an_idle_session_ends(moving: Clock, ada: Client) -> None:
    moving.now += IDLE_SECONDS
    assert ada.get("review").status == 401


def test_a_revoked_key_ends_its_sessions(container: "ConsoleContainer", ada: Client) -> None:
    (key,) = container.keys.of_tenant("acme")
    container.keys.revoke(key.key_hash)
    assert ada.get("review").status == 401


def test_signing_out_ends_this_session_and_everywhere_all_of_the_key(
    moving: Clock, client: Client, issue: Issue
) -> None:
    key = issue()
    here, there, elsewhere = client.sign_in(key), another(client), another(client)
    there.sign_in(key)
    elsewhere.sign_in(issue("grace"))
    stolen = dict(here.cookies)
    here.send("POST", "/console/sign-out", {"form_token": here.form_token})
    assert here.header("Clear-Site-Data") == '"cache", "storage"'
    here.cookies = stolen
    assert here.get("review").status == 401
    moving.now += 1
    assert there.get("review").status == 200
    there.post("sign-out-everywhere")
    moving.now += 1
    here.cookies = {}
    assert here.sign_in(key).status == 200
    moving.now += 1
    assert elsewhere.get("review").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": None},
        {"Sec_Fetch_Site": None, "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": None, "Origin": "null"},
    ],
)
def test_a_form_of_another_site_changes_nothing(
    ada: Client, store: Store, container: "ConsoleContainer", headers: dict[str, Any]
) -> None:
    store("verdict-1")
    assert ada.post("review/begin", **headers).status == 403
    assert container.waiting.counts("acme").claimed == 0


def test_an_older_browser_is_known_by_its_origin(ada: Client, store: Store) -> None:
    store("verdict-1")
    ada.post("review/begin", Sec_Fetch_Site=None, Origin="https://api.example.com")
    assert ada.status == 200


def test_a_form_needs_the_token_of_its_own_session(
    ada: Client, issue: Issue, store: Store, container: "ConsoleContainer"
) -> None:
    store("verdict-1")
    other = another(ada).sign_in(issue("eve"))
    for token in ("", "0" * 64, other.form_token, "ä"):
        sent = ada.send("POST", "/console/review/begin", {"form_token": token})
        assert sent.status == 403, token
    assert container.waiting.counts("acme").claimed == 0


def test_a_page_says_which_scope_is_missing(client: Client, issue: Issue) -> None:
    client.sign_in(issue(scopes=("review",)))
    assert "Review" in client.text
    for place in ("audit", "costs", "try"):
        assert client.get(place).status == 403
        assert "No permission" in client.text
        assert "<h1>" in client.body
    navigation = client.body.partition("<nav")[2].partition("</nav>")[0]
    assert "Audit" not in navigation


def test_every_page_but_those_of_the_session_needs_a_scope() -> None:
    assert {page.path for page in PAGES if not page.needs} == {
        *("", "home", "shortcuts", "sign-out", "sign-out-everywhere")
    }
    changing = [page.path for page in PAGES if page.method != "GET"]
    assert all(page.method in {"GET", "POST"} for page in PAGES)
    assert "review/begin" in changing


@pytest.mark.parametrize("path", ["sign-in", *PLACES, "no-such-page", "static/0/console.js"])
def test_every_answer_has_the_headers_and_no_code_inside(ada: Client, path: str) -> None:
    ada.send("GET", f"/console/{path}")
    rules = dict(
        rule.strip().split(" ", 1) for rule in ada.header("Content-Security-Policy").split(";")
    )
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["form-action"] == "'self'"
    assert ada.header("X-Frame-Options") == "DENY"
    assert ada.header("X-Content-Type-Options") == "nosniff"
    assert ada.header("Referrer-Policy") == "same-origin"
    assert ada.header("Cache-Control") == "no-store"
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=", ada.body)


def test_files_are_kept_for_ever_under_the_hash_of_what_is_in_them(client: Client) -> None:
    client.get("sign-in")
    for link in re.findall(r'(?:href|src)="([^"]*static/[^"]+)"', client.body):
        file = another(client)
        file.send("GET", client.address(link))
        assert file.status == 200, link
        assert file.header("Cache-Control") == "public, max-age=31536000, immutable"
    for path in ("static/console.css", "static/../app.py", "static/000000000000/console.css"):
        assert client.send("GET", f"/console/{path}").status == 404


@pytest.mark.parametrize("path", PLACES)
def test_every_page_is_in_both_languages(ada: Client, path: str) -> None:
    assert '<html lang="en"' in ada.get(path).body
    ada.post("look", {"language": "ko", "theme": "dark", "place": path})
    assert ada.place == f"/console/{path}"
    assert '<html lang="ko" data-theme="dark"' in ada.body
    title = re.search(r"<h1[^>]*>([^<]+)</h1>", ada.body)
    assert title is not None
    assert re.search("[가-힣]", title[1])


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/x", "\\evil", "?x"])
def test_a_form_leads_to_no_other_site(ada: Client, place: str) -> None:
    ada.send("POST", "/console/look", {"language": "en", "theme": "auto", "place": place})
    assert ada.header("Location") == "./home"


def test_what_others_wrote_stays_text_wherever_it_is_shown(
    ada: Client, store: Store, container: "ConsoleContainer", issue: Issue
) -> None:
    store(
        "verdict-1",
        text=ATTACK,
        content_id="\"><script>alert('id')</script>",
        metadata={"<b>name": ATTACK},
        reason=ATTACK,
        scores={"harassment": 0.9},
    )
    eve = another(ada).sign_in(issue(ATTACK[:60]))
    eve.get("review/verdict-1")
    eve.post("review/verdict-1/escalate", {"note": ATTACK})
    for path in ("review", "review/verdict-1?show=1", "verdicts", "verdicts/verdict-1", "audit"):
        assert ada.get(path).status == 200, ada.text
        assert "<script>alert" not in ada.body, path
        assert "<img src=x" not in ada.body, path
        assert "<b>name" not in ada.body, path
        assert "\u202e" not in ada.body, path
    assert "⟦U+202E⟧⟦U+200B⟧" in ada.get("review/verdict-1?show=1").text
    assert "{{7*7}}" in ada.text
    ada.post("try", {"content": f"</textarea>{ATTACK}"})
    assert ada.status == 200, ada.text
    assert "<script>alert" not in ada.body
    assert "&lt;/textarea&gt;" in ada.body


def test_a_content_is_in_no_address_and_in_no_log(
    ada: Client, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "a very private sentence"
    store("verdict-1", text=secret)
    places: list[str] = []
    send = ada.send

    def noted(method: str, place: str, *form: Any, **headers: Any) -> Client:
        places.append(place)
        return send(method, place, *form, **headers)

    ada.send = noted  # type: ignore[method-assign] # to see where it goes
    ada.post("review/begin")
    ada.get("review/verdict-1?show=1")
    assert secret in ada.text
    ada.post("review/verdict-1/decide", {"decision": "unsafe", "note": secret})
    ada.get("audit")
    assert secret not in ada.text
    ada.post("try", {"content": secret})
    ada.post("try", {"content": secret, "panel": secret})
    assert ada.status == 400
    told = capsys.readouterr()
    assert secret not in told.out + told.err
    assert not any("private" in place for place in places)


def test_a_category_of_a_policys_own_is_shown_under_its_name(ada: Client, store: Store) -> None:
    own = {"gambling_ads": CategoryScore(score=0.9, threshold=0.7, flagged=True)}
    store("own", category_scores=own, categories={"gambling_ads": 0.9})
    for path in ("verdicts", "verdicts/own", "review", "review/own"):
        assert ada.get(path).status == 200, path
        assert "gambling_ads" in ada.body, path


def test_verdicts_are_found_by_the_time_of_day_and_their_metadata(
    ada: Client, store: Store
) -> None:
    early = store("early", created_at=datetime(2026, 11, 19, 9, 29, tzinfo=UTC), metadata={"a": 1})
    store("late", created_at=datetime(2026, 11, 19, 9, 30, tzinfo=UTC), metadata={"a": 2})
    of_day = "verdicts?from=2026-11-19&to=2026-11-19"

    def found(query: str) -> list[str]:
        body = ada.get(of_day + query).body
        assert ada.status == 200
        return [name for name in ("early", "late") if f"verdicts/{name}" in body]

    assert found("") == ["early", "late"]
    assert found("&from_time=09:30") == ["late"]
    assert found("&to_time=09:30") == ["early"]
    assert found(f"&metadata=a={early.metadata['a']}") == ["early"]
    assert found("&metadata=a") == ["early", "late"]
    assert found("&metadata=b") == []
    assert 'value="09:30"' in ada.get(f"{of_day}&to_time=09:30").body


def test_another_tenants_verdict_is_not_there(ada: Client, store: Store) -> None:
    store("verdict-2", tenant="other")
    for path in ("verdicts/verdict-2", "review/verdict-2"):
        assert ada.get(path).status == 404
    assert ada.post("review/verdict-2/decide", {"decision": "safe"}).status in {404, 409}
    assert "verdict-2" not in ada.get("verdicts").body


def test_an_outage_is_a_page_that_says_so(
    ada: Client, container: "ConsoleContainer", monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: Any, **_named: Any) -> None:
        raise RuntimeError("a secret of somebody")

    monkeypatch.setattr(container.waiting, "counts", fail)
    ada.get("review")
    assert ada.status == 500
    assert "Something went wrong" in ada.text
    assert "secret" not in ada.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("verdicts?from=yesterday", 400),
        ("verdicts?from_time=09:30", 400),
        ("verdicts?to=2026-11-27&to_time=noon", 400),
        ("verdicts?metadata==7", 400),
        ("verdicts?decision=maybe", 400),
        ("audit?next=x", 400),
        ("costs?from=2026-02-30", 400),
        ("review?severity=none", 400),
        ("verdicts?next=%00", 400),
    ],
)
def test_a_wrong_address_says_what_is_wrong(ada: Client, path: str, status: int) -> None:
    ada.get(path)
    assert (ada.status, "That did not work" in ada.text) == (status, True)


def test_the_handler_reads_no_form_that_is_too_large(ada: Client) -> None:
    ada.send("POST", "/console/try", {"form_token": ada.form_token, "content": "a" * 600_000})
    assert ada.status == 413


def test_a_key_with_a_limit_is_counted_here_too(client: Client, issue: Issue) -> None:
    client.sign_in(issue(requests_per_minute=2))
    codes = [client.get("review").status for _ in range(4)]
    assert 429 in codes
    assert client.post("sign-out").status == 401  # the page that asks for a key
    assert not client.cookies


def test_signing_in_again_ends_the_session_that_the_browser_had(
    client: Client, issue: Issue
) -> None:
    client.sign_in(issue("ada"))
    before = dict(client.cookies)
    client.sign_in(issue("grace"))
    assert "grace" in client.get("review").text
    client.cookies = before
    assert client.get("review").status == 401


def test_a_form_of_a_trial_that_is_sent_twice_is_judged_once(
    container: "ConsoleContainer", ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []

    def moderate(_tenant: str, content: Any, *_more: Any) -> Any:
        judged.append(content.text)
        return verdict("safe", id=f"v{len(judged)}")

    monkeypatch.setattr(container.workflow, "moderate", moderate)
    once = re.findall(r'name="once" value="([0-9a-f]{32})"', ada.get("try").body)[0]
    sent = {"content": "a text", "once": once}
    assert ada.post("try", sent).status == 200
    assert "verdicts/v1" in ada.post("try", sent).body
    assert judged == ["a text"]
    # Another text, and another form, are judged.
    ada.post("try", sent | {"content": "another"})
    ada.post("try", sent | {"once": "0" * 32})
    assert judged == ["a text", "another", "a text"]


def test_a_form_that_is_sent_while_its_first_sending_is_answered_waits_for_that(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = verdict("safe", id="v1").model_dump_json()
    answers = iter([Conflict("it is being answered", code=IN_PROGRESS), {"verdict": first}])

    def answer_once(*_given: Any, **_more: Any) -> Any:
        answer = next(answers)
        if isinstance(answer, Conflict):
            raise answer
        return answer

    monkeypatch.setattr(trial, "answer_once", answer_once)
    monkeypatch.setattr(trial, "LOOK_SECONDS", 0)
    assert "verdicts/v1" in ada.get("try").post("try", {"content": "a text"}).body


def test_a_verdicts_history_reads_no_whole_trail(
    container: "ConsoleContainer", ada: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("one")
    for number in range(6):
        change = Change(action=Action.REVIEW_RELEASED, by="ada", subject=f"verdict/other-{number}")
        container.audit.record("acme", change)
    monkeypatch.setattr(trail, "READ_LIMIT", 2)
    page = ada.get("verdicts/one")
    assert "Look further back" in page.text
    (link,) = re.findall(r'href="([^"]*audit[^"]*next[^"]*)"', page.body)
    assert ada.send("GET", ada.address(unescape(link))).status == 200


def test_the_trail_is_told_in_words_and_an_entry_of_newer_code_as_it_is(
    ada: Client, store: Store, aws: Any
) -> None:
    store("verdict-1")
    ada.post("review/begin")
    table = aws.Table("AuditTable")
    (item,) = table.scan()["Items"]
    newer = json.loads(str(item["entry"])) | {"action": "of.newer.code", "of_newer_code": 1}
    newer |= {"number": 2, "after": {"<b>": {"nested": [ATTACK, True]}}}
    table.put_item(Item=item | {"number": 2, "entry": json.dumps(newer)})
    ada.get("audit")
    assert "Content claimed" in ada.text
    assert "of.newer.code" in ada.text
    assert re.search(r"until: \d{4}-\d\d-\d\d \d\d:\d\d UTC", ada.text)
    assert "<script>" not in ada.body.partition("</head>")[2]
    assert ada.get("verdicts/verdict-1").status == 200
    ada.post("look", {"language": "ko", "theme": "auto", "place": "audit"})
    assert "검토 항목 담당" in ada.text


def test_every_action_and_fact_of_the_trail_has_words() -> None:
    assert [action for action in Action if f"action.{action}" not in WORDS] == []


def test_shortcuts_may_have_other_letters_or_be_off(ada: Client) -> None:
    letters = dict(zip(shortcuts.ACTIONS, "qwuexzbjk", strict=True))
    ada.get("shortcuts")
    assert f'data-shortcuts="{shortcuts.USUAL}"' in ada.body
    ada.post("shortcuts", letters)
    assert (ada.status, "The shortcuts were changed." in ada.text) == (200, True)
    assert 'data-shortcuts="qwuexzbjk"' in ada.get("review").body
    ada.get("shortcuts")
    ada.post("shortcuts", letters | {"off": "1"})
    assert 'data-shortcuts="off"' in ada.get("review").body
    ada.get("shortcuts")
    ada.post("shortcuts", {"usual": "1"})
    assert f'data-shortcuts="{shortcuts.USUAL}"' in ada.get("review").body


@pytest.mark.parametrize("letter", ["s", "1", "", "ㄱ", "<", "ss"])
def test_a_letter_that_is_taken_or_none_is_refused_and_shown_again(
    ada: Client, letter: str
) -> None:
    ada.get("shortcuts")
    ada.post("shortcuts", dict(shortcuts.ACTIONS) | {"reveal": letter})
    assert ada.status == 400
    assert "a letter from A to Z of its own" in ada.text
    assert 'id="problem"' in ada.body
    assert "<script>" not in ada.body
    assert f'data-shortcuts="{shortcuts.USUAL}"' in ada.get("review").body


def test_a_cookie_that_was_made_up_leaves_the_usual_letters(ada: Client) -> None:
    for made_up in ("rrrrrrrrr", '"><script>', "offf", ""):
        ada.cookies["quorum-shortcuts"] = made_up
        assert f'data-shortcuts="{shortcuts.USUAL}"' in ada.get("review").body


VENDORED = {
    "uplot-1.6.32.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot-1.6.32.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "htmx-2.0.11.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
}
"""Files of libraries as their packages have them (`docs/console.md`), and their SHA-256."""


def test_libraries_are_the_published_ones_with_their_licences() -> None:
    found = {file.name for file in STATIC.iterdir() if re.search(r"-\d+\.\d+\.\d+\.", file.name)}
    licences = {re.sub(r"(-\d+\.\d+\.\d+)\..*", r"\1.LICENSE.txt", name) for name in VENDORED}
    assert found == VENDORED.keys() | licences
    for name, digest in VENDORED.items():
        assert sha256((STATIC / name).read_bytes()).hexdigest() == digest


def test_htmx_evaluates_nothing_keeps_no_page_and_asks_only_this_console(ada: Client) -> None:
    (given,) = re.findall(r"<meta name=\"htmx-config\" content='([^']+)'>", ada.body)
    config = json.loads(given)
    assert config["selfRequestsOnly"] is True
    assert config["historyCacheSize"] == 0
    for may in ("allowEval", "allowScriptTags", "includeIndicatorStyles"):
        assert config[may] is False
    pages = "".join(file.read_text() for file in (STATIC.parent / "templates").iterdir())
    assert re.findall(r"hx-on|js:|javascript:|hx-ext|(?<!-)style=|\|\s*safe", pages) == []
    assert re.findall(r'hx-trigger="[^"]*\[', pages) == []  # a filter would be evaluated


@pytest.mark.parametrize(
    ("form", "page"),
    [
        ("review/begin", "review"),
        ("review/verdict-1/decide", "review/verdict-1"),
        ("policies/default/try", "policies/default"),
        ("labels/propose", "labels"),
        ("keys/0123456789ab/rotate", "keys"),
        ("webhooks/test", "webhooks"),
    ],
)
def test_the_address_of_a_form_leads_to_its_page(
    ada: Client, store: Store, form: str, page: str
) -> None:
    store("verdict-1")
    assert ada.get(form).status == 200, ada.text
    assert ada.place == f"/console/{page}"
