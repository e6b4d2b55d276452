"""What the documentation promises: its links, examples, tables and recipes hold."""

import ast
import builtins
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quorum.answer.completions import ChatCompletionRequest
from quorum.api import http, idempotency, query
from quorum.aws import key_limits
from quorum.bulk.requests import BatchRequest
from quorum.core import rejection, scopes
from quorum.core.errors import (
    PanelInvalid,
    PolicyInvalid,
    QuorumError,
    StoreUnavailable,
    Unauthorized,
)
from quorum.core.models import Category, Frozen, Verdict
from quorum.document.requests import DocumentsRequest
from quorum.events.rules import EventRule
from quorum.events.webhooks import WebhookRequest
from quorum.ledger import budget
from quorum.review.requests import DecideRequest, ReviewerRequest
from quorum.routes.keys import KeyRequest, RotateRequest
from quorum.vote.moderations import ModerationRequest
from quorum.vote.panel import PACKAGED, packaged
from quorum.vote.perspective import AnalyzeCommentRequest, SuggestCommentScoreRequest
from quorum.vote.requests import ReviewRequest, VerdictRequest
from samcli.yamlhelper import yaml_parse
from typer.main import get_command

from cli.app import app
from local.state import Stack
from tests import template
from tests.template import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = ROOT / "README.md"
BODIES: dict[str, type[Frozen]] = {
    "verdicts": VerdictRequest,
    "verdicts/$ID/review": ReviewRequest,
    "reviews/$ID/claim": ReviewerRequest,
    "reviews/decide": DecideRequest,
    "batches": BatchRequest,
    "documents": DocumentsRequest,
    "moderations": ModerationRequest,
    "v1alpha1/comments:analyze?key=$KEY": AnalyzeCommentRequest,
    "v1alpha1/comments:analyze?key=$KEY&panel=embedded": AnalyzeCommentRequest,
    "v1alpha1/comments:suggestscore?key=$KEY": SuggestCommentScoreRequest,
    "chat/completions": ChatCompletionRequest,
    "keys": KeyRequest,
    "keys/$ID/rotate": RotateRequest,
    "events/rule": EventRule,
    "webhooks/moderators": WebhookRequest,
}
"""What the route of each shown request takes."""
OUTPUTS = {"ApiId": "a1", "ChatApiId": "c1", "QueueUrl": "http://q/items"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{name_of(page)} → {target}"
        assert not anchor or anchor in anchors(file), f"{name_of(page)} → {target}"


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs/README.md"
    linked = {
        (index.parent / target.partition("#")[0]).resolve()
        for target in re.findall(r"\]\(([^)\s]+)\)", index.read_text())
    }
    assert set(PAGES) - linked == {index}


PRINTED = frozenset(Stack(folder=ROOT, port=1, pid=1, started=0, outputs=OUTPUTS).variables())
"""The variables that `quorum env` and `make up` print."""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_shell_example_uses_only_variables_that_are_set_before(page: Path) -> None:
    known = set(PRINTED)
    for line in "".join(code(page, "sh")).splitlines():
        expanded = re.sub(r"'[^']*'|(?<!\S)#.*", "", line)
        used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", expanded))
        assert used <= known, f"{name_of(page)}: {used - known} in {line}"
        known.update(re.findall(r"^(?:export |read -rs )?([A-Z_]+)(?:=|\b(?= *$))", expanded))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_python_example_uses_only_names_that_it_defines(page: Path) -> None:
    for block in code(page, "python"):
        nodes = list(ast.walk(ast.parse(block)))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        written = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        written |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        written |= {
            node.name
            for node in nodes
            if isinstance(node, ast.ExceptHandler | ast.FunctionDef) and node.name
        }
        imported = {
            (alias.asname or alias.name).partition(".")[0]
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert read <= written | imported | vars(builtins).keys(), name_of(page)


def requests() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        yield from re.findall(
            r"\$API/([^\s\"]+)\"? [^\n]*?-d '(\{.*?\})'(?:$| \|)", page.read_text(), re.MULTILINE
        )


def test_the_requests_that_pages_show_are_what_their_routes_expect() -> None:
    shown = list(requests())
    assert {route for route, _ in shown} >= {"verdicts", "batches", "documents"}
    for route, body in shown:
        BODIES[route].model_validate_json(body)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_that_a_page_shows_compiles(page: Path) -> None:
    for block in code(page, "python"):
        compile(block, name_of(page), "exec")


def test_the_page_of_a_verdict_explains_every_field_and_no_other() -> None:
    page = (ROOT / "docs/verdict.md").read_text()
    table = page.partition("| field of the verdict |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    explained = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(explained) == sorted(Verdict.model_fields)


def test_the_page_of_a_verdict_lists_the_categories_that_are_judged() -> None:
    page = (ROOT / "docs/verdict.md").read_text()
    section = page.partition("## What it judges")[2].partition("\n\n## ")[0]
    listed = re.findall(r"`([a-z/-]+)`", section.partition(". Reporting")[0])
    assert listed == [str(category) for category in Category]


def test_the_page_of_panels_compares_the_packaged_ones_and_their_voters() -> None:
    page = (ROOT / "docs/panels.md").read_text()
    section = page.partition("## Which panel")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))
    assert rows.keys() == set(PACKAGED)
    for name, voters in rows.items():
        panel = packaged(name)
        free = set(packaged("embedded").voters) if name == "economy" else set()
        assert all(voter in voters for voter in set(panel.voters) - free), name


def test_every_command_that_pages_show_is_there() -> None:
    command: Any = get_command(app)
    shown = {
        name
        for page in PAGES
        for block in code(page, "sh")
        for name in re.findall(r"^(?:\.venv/bin/)?quorum ([\w-]+)", block, re.MULTILINE)
    }
    assert shown <= command.commands.keys()
    usage = (ROOT / "docs/usage.md").read_text()
    assert [name for name in command.commands if f"bin/quorum {name} " not in f"{usage} "] == []


def test_every_make_target_that_pages_show_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }
    assert shown <= targets


def test_the_usage_page_lists_every_route() -> None:
    usage = (ROOT / "docs/usage.md").read_text()
    listed = set(re.findall(r"^\| `([A-Z]+) ([^?`]+)(?:\?[^`]*)?` \|", usage, re.MULTILINE))
    routes = {
        (route["Properties"]["Method"].upper(), route["Properties"]["Path"])
        for block in template.functions().values()
        for route in block.get("Events", {}).values()
        if route["Type"] == "Api"
    }
    assert {(method, re.sub(r"\{\w+\}", "{id}", path)) for method, path in routes} == listed


def test_the_architecture_names_the_floors_of_the_import_contract() -> None:
    contract = (ROOT / "pyproject.toml").read_text()
    layers = re.search(r"exhaustive = true\nlayers = \[\n(.*?)\n\]", contract, re.DOTALL)
    assert layers is not None
    floors = [set(re.findall(r"\w+", line)) for line in layers[1].splitlines()]
    shown: list[set[str]] = []
    page = (ROOT / "docs/architecture.md").read_text()
    for number, package in re.findall(r"^\| (\d?) ?\| `(\w+)` \|", page, re.MULTILINE):
        if number:
            shown.append(set())
        shown[-1].add(package)
    assert shown == floors


TABLES = {
    "docs/architecture.md": ("\n## Data\n", r"^\| (\w+) \|"),
    "SECURITY.md": ("\n## What is kept, and how long\n", r"\b(\w+)(?:,| and \w+)? [Tt]ables?\b"),
}
"""The section of a page that names every table, and how it does."""


@pytest.mark.parametrize("page", TABLES)
def test_the_pages_that_say_what_is_stored_name_every_table(page: str) -> None:
    heading, names = TABLES[page]
    section = (ROOT / page).read_text().partition(heading)[2].partition("\n## ")[0]
    named = set(re.findall(names, section, re.MULTILINE))
    named |= set(re.findall(r"\band (\w+) tables\b", section))
    tables = {name.removesuffix("Table") for name in template.resources("AWS::DynamoDB::Table")}
    assert tables - named == set()


def test_ci_runs_the_commands_of_the_readme_on_every_python_they_are_promised_for() -> None:
    workflow = yaml_parse((ROOT / ".github/workflows/test.yml").read_text())
    job = workflow["jobs"]["test"]
    run = " ".join(step.get("run", "") for step in job["steps"])
    for target in re.findall(r"^make (\w+)", "\n".join(code(README, "sh")), re.MULTILINE)[:2]:
        assert f"make {target}" in run
    project = (ROOT / "pyproject.toml").read_text()
    promised = re.search(r"requires-python = .>=3\.(\d+),<3\.(\d+)", project)
    assert promised is not None
    minors = range(int(promised[1]), int(promised[2]))
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in minors]


def test_the_page_of_openais_form_lists_every_code_of_its_errors_and_no_other() -> None:
    section = (ROOT / "docs/openai.md").read_text().partition("## Errors")[2]
    rows = [row.split("|")[2] for row in section.splitlines() if re.match(r"\| \d{3} ", row)]
    listed = [code for row in rows for code in re.findall(r"`([a-z_]+)`", row)]
    assert len(listed) == len(set(listed))
    raised = {
        code
        for module in (http, idempotency, key_limits, scopes, budget)
        for code in re.findall(
            r'(?:code=|_problem\(|BAD_REQUEST, )"([a-z_]+)"', inspect.getsource(module)
        )
    }
    raised |= {one.code for one in (PanelInvalid, PolicyInvalid, StoreUnavailable, Unauthorized)}
    raised |= {QuorumError.code, query.CODE, rejection.NAME_REPEATED, "unknown_field"}
    raised |= {f"invalid_{field}" for field in (*ModerationRequest.model_fields, "idempotency_key")}
    raised |= {idempotency.IN_PROGRESS, "origin_not_allowed"}
    answers = template.resources("AWS::Serverless::Api")["Api"]["GatewayResponses"].values()
    bodies = [json.loads(one["ResponseTemplates"]["application/json"]) for one in answers]
    raised |= {body["error"]["code"] for body in bodies} - {"invalid_request"}  # of no route's
    others = {"shown_once", "no_such_route"}  # of routes with secrets; of no route
    assert set(listed) == raised - others
