"""Every parser of what others send: what it is given, and what it may say of it.

A parser returns, or raises one of its refusals. Anything else is a finding.
"""

import base64
import gzip
import io
import json
import tempfile
import zlib
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile

import httpx
import pypdfium2
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from embedded import characters, meaning, rules, senses
from embedded.disguises import respelled
from embedded.innocent import reworded
from hypothesis import strategies as st
from pydantic import ValidationError
from quorum.api.http import resolve, resolver
from quorum.aws import index_pages
from quorum.aws.keys import Caller
from quorum.bulk import requests as bulk
from quorum.chat import chat
from quorum.console.browser import BrowserRequest
from quorum.core.errors import (
    DocumentUnreadable,
    InvalidRequest,
    PolicyUnspoken,
    QuorumError,
    StoreUnavailable,
)
from quorum.core.json_names import NameRepeated
from quorum.core.lines import lines_of
from quorum.core.models import Content
from quorum.core.normalise import normalise
from quorum.core.periods import Period
from quorum.core.registry import VoteFormat
from quorum.document import encodings, parsers, replies, splitting
from quorum.document.docx_text import docx_text
from quorum.document.html_text import html_text
from quorum.document.operations import AnswerInvalid
from quorum.document.operations import read as read_answer
from quorum.document.pdf_text import pdf_text
from quorum.document.requests import read_document
from quorum.events import schema
from quorum.events.addresses import require_url
from quorum.gateway import body
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.model_hosts import ModelHosts
from quorum.routes import estimates, perspective, webhooks
from quorum.vote import language, panel
from quorum.vote.policy import DEFAULT, Policy

from analysis import prices, recorded, rows
from analysis.rows import FileUnreadable
from cli import entries, items, policy
from cli.errors import CommandFailed
from functions.api.app import ERROR_FORMS, SUBJECTS
from quorum_client import errors as client_errors
from quorum_client import requests as client
from quorum_client.results import Verdict
from tests import documents, pdf_files, word_files, workbooks
from tests.fuzz.checks import Parser, Refusals, require
from tests.fuzz.inputs import HOSTILE, VALUES, Strategy, data, json_texts, texts, values
from tests.fuzz.round_trips import BYTES, ROUND_TRIPS, labels
from tests.fuzz.upstream import (
    ANSWERS,
    COMPLETION,
    FAILURE,
    FINISH,
    PACK,
    REFUSED,
    REPLIES,
    SCHEMAS,
    STREAMS,
    WORKS,
    read_body,
    read_events,
    read_guard,
    read_pack,
    read_reply,
    read_schema,
    read_stream,
    unpack,
)
from tests.template import ROOT

# ---- requests ----


class Closed:
    """A container in which nothing can be opened: whatever reaches it was read."""

    def __getattr__(self, name: str) -> Any:
        raise StoreUnavailable(name)


class Context:
    """The context of an invocation."""

    function_name = "function"
    aws_request_id = "0"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


@cache
def doors() -> APIGatewayRestResolver:
    """The routes of all functions in one resolver, where an unexpected error stays one."""
    app = resolver(
        *(subject.router for subject in (*SUBJECTS, webhooks, estimates)),
        lenient_routes=perspective.LENIENT_ROUTES,
    )

    def raised(error: Exception) -> Any:
        raise error

    app.exception_handler(Exception)(raised)
    return app


REQUESTS = [
    event
    for event in (
        json.loads(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "events").iterdir())
    )
    if "httpMethod" in event
    and "authorizer" in event["requestContext"]
    and not event["path"].startswith(("/console", "/docs", "/openapi"))
]


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request as API Gateway hands it on, with a body, a path or a query that is made up."""
    event = dict(draw(st.sampled_from(REQUESTS)))
    if event.get("body") is not None:
        event["body"] = draw(json_texts(json.loads(event["body"])))
    for name, value in (event.get("pathParameters") or {}).items():
        if draw(st.integers(0, 3)) == 0:
            other = draw(texts(str(value)))
            event["path"] = event["path"].replace(str(value), other)
            event["pathParameters"] = event["pathParameters"] | {name: other}
    if draw(st.booleans()):
        names = ("next", "limit", "from", "to", "panel", "policy", "decision", "tenant", "x")
        asked: Mapping[str, str] = {
            **(event.get("queryStringParameters") or {}),
            **draw(st.dictionaries(st.sampled_from(names), texts("2026-11-01", "10"), max_size=3)),
        }
        event["queryStringParameters"] = dict(asked)
        event["multiValueQueryStringParameters"] = {name: [one] for name, one in asked.items()}
    return event


def ask(event: dict[str, Any]) -> None:
    answer = resolve(doors(), event, Context(), Closed, ERROR_FORMS)  # type: ignore[arg-type] # what is read of a context
    status = answer["statusCode"]
    require(status < 500 or status == 503, f"status {status}")


CURSORS = tuple(
    index_pages._cursor("", {"id": "0123456789abcdef", "created_at": stamp})  # noqa: SLF001 one as we make it
    for stamp in ("2026-11-01T00:00:00+00:00", "2026-11-01")
)
DEEP_CURSOR = base64.urlsafe_b64encode(b"[" * 5_001).decode()
DAYS = Period.of_days(date(2026, 10, 1), date(2026, 11, 30))


class Empty:
    """A table in which nothing is found, whatever is asked for."""

    def query(self, **_asked: Any) -> dict[str, Any]:
        return {"Items": []}


def encoded(text: str) -> str:
    """A cursor of whatever text."""
    return base64.urlsafe_b64encode(text.encode(errors="replace")).decode()


def read_cursor(given: str) -> None:
    from quorum.review import waiting  # noqa: PLC0415 beside what reads its cursors
    from quorum.vote import verdict_list  # noqa: PLC0415 as above

    for read in (
        lambda: verdict_list._read(given, DAYS),  # noqa: SLF001 read only here
        lambda: waiting._start(given, 8),  # noqa: SLF001 as above
        lambda: index_pages.read_page(
            Empty(), "T", index_pages.Index("i", "f"), "", "p", limit=1, after=given
        ),
    ):
        try:
            read()
        except InvalidRequest:
            continue


def read_form(given: tuple[str, str, str, bool]) -> None:
    path, form, cookie, packed = given
    event = {
        "httpMethod": "POST",
        "path": path,
        "body": form,
        "isBase64Encoded": packed,
        "headers": {"Cookie": cookie, "Host": path, "Origin": form},
    }
    request = BrowserRequest.of(event)
    request.url("review", a=form)


def read_message(given: str | bytes) -> None:
    chosen = bulk.Chosen("economy", "default", panel.packaged, lambda _name: DEFAULT)
    line = given.encode(errors="surrogatepass") if isinstance(given, str) else given
    bulk.read_item(line, chosen)
    read_document(line)
    for _ in lines_of([line], 1_000):
        pass


ITEM = {
    "content": "hi",
    "id": "a-1",
    "panel": "economy",
    "language": "en",
    "context": {"kind": "comment", "before": ["hello"]},
    "metadata": {"x": 1},
}


def read_chat(given: str) -> None:
    chat.named(given)
    chat.read(given)


# ---- what is put: policies, panels, models, webhooks ----


def event_body(name: str) -> Any:
    return json.loads(
        json.loads((ROOT / "events" / name).read_text(encoding="utf-8"))["body"] or "{}"
    )


POLICIES = (
    event_body("put_policy.json"),
    {
        "instructions": "Gambling is unsafe.",
        "categories": {"hate": {"definition": "against players", "threshold": 0.5}},
        "lists": {"blocked": ["casino", {"pattern": "b[o0]nus+"}], "allowed": ["casino royale"]},
    },
)
PANELS = tuple(panel.packaged(name).document() for name in panel.PACKAGED)
TEXT = "Du bist ein casino b0nus! Good evening, 안녕 \U0001f600 a.b.c"


def read_policy(given: Any) -> None:
    found = Policy.model_validate(given | {"name": "own"} if isinstance(given, dict) else given)
    found.lists.hit(Content(text=TEXT))
    found.prompt(normalise(TEXT), "boundary")


def read_panel(given: str) -> None:
    panel.load(given)


def read_model(given: str) -> None:
    entries.parsed(given).model("own")


def read_url(given: str) -> None:
    require_url(given, ModelHosts("https://example.org:8443"))


def read_urls(given: tuple[str, str]) -> None:
    parse_base_urls(*given)


def read_event(given: str) -> None:
    schema.read(given)


def read_caller(given: Any) -> None:
    if isinstance(given, dict):
        Caller.given(given)


CALLER = {"tenant": "acme", "role": "member", "scopes": "verdicts:write", "principalId": "x"}
EVENTS = tuple(
    {
        "id": "evt_0",
        "type": kind,
        "tenant": "acme",
        "created_at": "2026-11-01T00:00:00+00:00",
        "data": {"verdict_id": "0", "decision": "unsafe", "score": 0.9, "panel": "economy"},
    }
    for kind in schema.EventType
)


# ---- files ----


def read_rows(given: tuple[bytes, str | None]) -> None:
    for row in rows.rows_of(io.BytesIO(given[0]), given[1], ("content", "text")):
        items.item_of(row, ("content", "text"), set())


TABLES = (
    b"id,content\na1,Good evening\na2,Du Idiot\n",
    b'"id";"text"\n"1";"a ""b"" c"\n2;"two\nlines"\n',
    "id\tcontent\n1\t안녕\n".encode("utf-16"),
    b'{"id": "1", "content": "x"}\n{"content": "y", "context": {"kind": "post"}}\n',
    b'[{"content": "x", "metadata": {"a": [1, 2]}}]',
    b'{"items": [{"content": "x"}]}',
    b'content,context,metadata\nx,"{""kind"": ""post""}","{""a"": 1}"\n',
    b"one line\nand another\n",
)
BOOK = workbooks.workbook({"a": [["id", "content"], [1, "hello"], ["2", "x" * 50]]})
WORD = word_files.word_file(
    word_files.item("one") + word_files.table(["a", "b"], ["c", "d"]) + word_files.paragraph("e"),
    {"n1": word_files.numbering(("decimal", "%1."), ("bullet", "-"))},
)
XML = "<w:p><w:r><w:t>a</w:t></w:r></w:p>" + word_files.item("x") + word_files.table(["y", "z"])
PDFS = (
    documents.pdf(["Hello", "two\nlines"]),
    pdf_files.page_file(pdf_files.shown("Hi"), fields=[pdf_files.field("Tx", "(value)")]),
)
PAGES = (
    (
        "<!doctype html><title>a</title><p>b<table><tr><td>c<td colspan=2>d</table>"
        "<ol start=3><li>e<li value=-1>f</ol><script>g</script>"
    ),
    "<html><body hidden>a<pre>\n b</pre><img alt=c><details>d</details><select><option>e",
)


@st.composite
def word_xml(draw: st.DrawFn) -> bytes:
    """A DOCX whose body is well packed, and broken inside."""
    return word_files.word_file(draw(texts(XML)).encode(errors="replace").decode())


def read_votes(given: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(given)
        file.flush()
        recorded.read(Path(file.name))


VOTES = (
    b"text,gold,language,gpt-4.1,gpt-4.1.confidence\na,safe,en,unsafe,0.9\nb,unsafe,de,,\n",
    b"text,label,language,rules,panel,panel.score,policy\na,1,en,safe,safe,0.1,default\n",
)


def read_file_of(read: Callable[[Path], object]) -> Callable[[str], None]:
    def reading(given: str) -> None:
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            file.write(given.encode(errors="surrogatepass"))
            file.flush()
            read(Path(file.name))

    return reading


def read_text_file(given: tuple[bytes, str | None, str | None]) -> None:
    if given[0].startswith(b"PK\x03\x04"):  # the parser of Word documents has its own refusals
        return
    found = parsers.read(*given, pages=100, characters=100_000)
    require(isinstance(found.text, str), "no text")


def decode(given: tuple[bytes, str | None]) -> None:
    encodings.detected(given[0])
    encodings.text_in(*given)


# ---- texts ----


def read_content(text: str) -> None:
    content = Content(text=normalise(text).text[:1_000] or "-")
    language.detect(content.text)
    language.parts(content.text)


LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "it", "ko", "pt", "ru", "zh")
DISGUISED = (
    *("k i l l  y o u", "a$$h0le !1|@$", "f.u.c.k", "ㅅㅣㅂㅏㄹ", "시1발", "시이이발 야아"),
    *("ㅂㅅ ㅏ,", 'you are "not" an ass', "적 죽", "라고 부르지", "nadie perra", "не сука"),
    *("说是 杀", "कुत्ता नहीं", "ليس الكلب", "hört auf sau", "n'a pas é"),
    "\U0001f1eb\U0001f1fa\U0001f1e8\U0001f1f0",
)
"""Spellings around a list, and passages that may be meant harmlessly."""


@st.composite
def repeated(draw: st.DrawFn, most: int) -> str:
    """A text of up to so many characters: what is slow shows where it is repeated."""
    text = draw(texts(TEXT, *DISGUISED))
    length = draw(st.integers(0, most)) if draw(st.booleans()) else len(text)
    return (text * (length // max(1, len(text)) + 1))[: min(length, most)]


def respell(text: str) -> None:
    plain = reworded(normalise(text).text)
    for spelling in (plain, *respelled(plain)):
        require(len(spelling) <= 3 * len(plain) + 1, "a spelling that grows")
    for code in LANGUAGES:
        rest = senses.without(plain, code)
        require(rest is None or len(rest) < len(plain), "nothing left out")


def let_vote(text: str) -> None:
    content = Content(text=normalise(text).text.strip() or "-")
    for voter in (rules, characters, meaning):
        vote = voter.vote(content)
        require(vote.voter == voter.VOTER, "another's vote")


def cut(text: str) -> None:
    found = splitting.pieces(text, most_tokens=splitting.LEAST_TOKENS, overlap_tokens=0)
    require("".join(piece.text for piece in found) == text, "pieces that are not the text")


# ---- what the client reads ----


VERDICT = {
    "id": "1",
    "decision": "safe",
    "action": "allow",
    "score": 0.1,
    "confidence": 0.9,
    "reason": "",
    "categories": {},
    "votes": [{"kind": "vote", "voter": "rules", "decision": "safe", "cost_usd": "0.1"}],
    "rounds": 1,
    "calls": 0,
    "cost_usd": "0.0001",
    "saved_usd": "0",
    "policy": "default",
    "panel": "economy",
}


def read_answer_of_ours(given: tuple[int, str, str]) -> None:
    status, written, header = given
    answer = httpx.Response(
        status,
        content=written.encode(errors="surrogatepass"),
        headers=[(b"retry-after", header.encode(errors="replace"))],
    )
    failure = client_errors.error_of(answer)
    if failure is None:
        client.read_as(Verdict, answer)


def packets(*seeds: bytes) -> Strategy:
    return st.tuples(data(*seeds), st.lists(st.integers(0, 10_000), max_size=8))


def kinds(*names: str | None) -> Strategy:
    return st.sampled_from(names)


UNREADABLE_FILE: Refusals = (DocumentUnreadable, MemoryError, RecursionError)
BROKEN_PACKAGE: Refusals = (BadZipFile, ExpatError, zlib.error, NotImplementedError, ValueError)
"""What readers of packages say of broken ones; the service calls the file broken."""
parsers.seal = lambda: None  # it would hold for all inputs that this process reads later

PARSERS: Mapping[str, Parser] = {
    "replies of models": Parser(
        read_reply,
        st.tuples(texts(*REPLIES), kinds(*FINISH), st.none() | texts("I cannot help with that.")),
        REFUSED,
    ),
    "replies to packs": Parser(
        read_pack, st.tuples(json_texts(PACK) | texts(json.dumps(PACK)), kinds(*FINISH)), REFUSED
    ),
    "replies of guard models": Parser(
        read_guard,
        st.tuples(
            st.sampled_from([one for one in VoteFormat if one is not VoteFormat.JSON]),
            texts("unsafe\nS1,S10", "safe", "Safety: Unsafe\nCategories: Violent", "Yes")
            | json_texts({"violation": 1, "policy_category": "hate"}),
        ),
        (*REFUSED, PolicyUnspoken),
    ),
    "answers about documents": Parser(
        lambda given: read_answer(*given),
        st.tuples(st.sampled_from(WORKS), texts(*ANSWERS)),
        (AnswerInvalid,),
    ),
    "objects in answers": Parser(
        lambda text: replies.the_object(replies.without_thinking(text, anywhere=True)),
        texts(*ANSWERS, "a {b} {'c': 1} {\"d\": [1, 2,]}"),
        (replies.NoObject,),
    ),
    "schemas of callers": Parser(
        read_schema, st.tuples(values(*SCHEMAS), st.sampled_from(VALUES) | values({"sum": 1}))
    ),
    "bodies of gateways": Parser(
        read_body,
        json_texts(COMPLETION, FAILURE).map(lambda text: text.encode(errors="surrogatepass"))
        | data(json.dumps(COMPLETION).encode()),
    ),
    "compressed bodies": Parser(
        unpack,
        st.tuples(
            data(gzip.compress(b"{}"), gzip.compress(b"x" * 9_000), zlib.compress(b"{}")),
            kinds("gzip", "deflate", "br", "gzip, gzip", "identity", ""),
        ),
        (body.BodyInvalid,),
    ),
    "server-sent events": Parser(read_events, packets(*STREAMS)),
    "streams of gateways": Parser(read_stream, packets(*STREAMS)),
    "requests over HTTP": Parser(ask, requests()),
    "cursors": Parser(
        read_cursor,
        texts(*CURSORS) | st.just(DEEP_CURSOR) | texts().map(encoded),
    ),
    "forms of browsers": Parser(
        read_form,
        st.tuples(
            texts("/console/review/3f2a", "/console"),
            texts("a=b&c=%20d&next=%2Freview", "YT1i"),
            texts('__Host-session=abc; look="dark"; lang=ko'),
            st.booleans(),
        ),
        (QuorumError,),
    ),
    "items of batches and uploads": Parser(
        read_message, json_texts(ITEM) | data(json.dumps(ITEM).encode())
    ),
    "messages of chats": Parser(
        read_chat, json_texts(event_body("chat_message.json")), (QuorumError,)
    ),
    "policies": Parser(read_policy, values(*POLICIES), (ValidationError,)),
    "panels": Parser(read_panel, json_texts(*PANELS), (QuorumError,)),
    "entries of models": Parser(
        read_model, json_texts(event_body("put_model.json")), (ValidationError, NameRepeated)
    ),
    "addresses of webhooks": Parser(
        read_url,
        texts("https://example.com/hooks?x=1", "https://example.org:8443/", "http://10.0.0.1"),
        (InvalidRequest,),
    ),
    "base URLs and their keys": Parser(
        read_urls,
        st.tuples(
            texts("https://api.example.com/v1,http://127.0.0.1:8000"), texts("sk-1,sk-2", "k")
        ),
        (ValueError,),
    ),
    "events": Parser(read_event, json_texts(*EVENTS), (ValidationError,)),
    "callers": Parser(read_caller, values(CALLER), (ValidationError,)),
    "tables and JSON lines": Parser(
        read_rows,
        st.tuples(data(*TABLES), kinds(None, "csv", "tsv", "json", "jsonl", "txt")),
        (FileUnreadable,),
    ),
    "workbooks": Parser(read_rows, st.tuples(data(BOOK), kinds("xlsx", None)), (FileUnreadable,)),
    "recorded votes": Parser(read_votes, data(*VOTES), (recorded.VotesUnreadable,)),
    "prices": Parser(
        read_file_of(prices.read),
        json_texts({"gpt-4.1": {"input": "2", "output": 8.0, "input_tokens": 400}, "note": "x"}),
        (ValueError,),
    ),
    "policies in files": Parser(
        read_file_of(lambda file: policy.load("own", file)),
        json_texts(*POLICIES),
        (CommandFailed,),
    ),
    "text files": Parser(
        read_text_file,
        st.tuples(
            BYTES
            | data(b"{\\rtf1", b"%PDF-", b"\xd0\xcf\x11\xe0", b"HWP Document File V3.00 \x1a"),
            labels("text/html", "a/b"),
            kinds(None, "a.txt", "a.html", "a.md"),
        ),
        (*UNREADABLE_FILE, pypdfium2.PdfiumError),
    ),
    "encodings": Parser(
        decode,
        st.tuples(
            BYTES | data(b"\x1b$B!!", b"\x1b$)C\x0e"),
            labels("text/plain; charset=x", "text/plain; charset=utf-7", ";;="),
        ),
        UNREADABLE_FILE,
    ),
    **ROUND_TRIPS,
    "HTML": Parser(html_text, texts(*PAGES), UNREADABLE_FILE),
    "Word documents": Parser(
        docx_text, data(WORD) | word_xml(), (*UNREADABLE_FILE, *BROKEN_PACKAGE)
    ),
    "PDFs": Parser(
        lambda given: pdf_text(given, 100, 100_000),
        data(*PDFS),
        (*UNREADABLE_FILE, pypdfium2.PdfiumError),
    ),
    "contents": Parser(read_content, texts(TEXT, *(word for word in HOSTILE if len(word) < 100))),
    "disguises and senses": Parser(respell, repeated(32_768)),
    "votes of embedded voters": Parser(let_vote, repeated(8_000)),
    "cutting texts": Parser(cut, texts(TEXT * 20, "\n\n".join(["One. Two! 셋."] * 30))),
    "answers of the service": Parser(
        read_answer_of_ours,
        st.tuples(
            st.sampled_from((200, 201, 302, 400, 404, 429, 500, 503)),
            json_texts(VERDICT, FAILURE),
            texts("3", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ),
        (client_errors.QuorumError,),
    ),
}
