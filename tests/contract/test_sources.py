"""Rules for every source file, and for the names in pages and comments."""

import importlib
import re
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.test_documentation import PAGES, name_of
from tests.template import ROOT

FOLDERS = (
    *(
        "analysis",
        "bench",
        "cli",
        "fakes",
        "functions",
        "layers",
        "local",
        "quorum_client",
        "tests",
    ),
    *("quorum_moderator", "training"),
)
SOURCES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
LINES = 700
"""Lines a file may have."""
SAY_NOTHING = {"common", "helper", "helpers", "manager", "misc", "tools", "util", "utils"}
"""Names of modules that do not say what is in them."""

IGNORED = re.compile(r"# (?:noqa|type: ignore|pragma)\b(?P<rest>.*)")
NO_REASON = re.compile(r"\[[a-z, -]+\]|[A-Z]+\d+|[:,#\s-]")
"""Rules, and what stands between them."""
SKIPPED = re.compile(r"(?:\bskip|importorskip|xfail)\(")
PACKAGES = r"quorum|quorum_client|quorum_moderator|embedded|analysis|cli|local|fakes|bench|training"
NAMED = re.compile(rf"`((?:{PACKAGES})(?:\.\w+)+)")
FILE = re.compile(r"`([\w./-]+\.(?:py|json|yaml|toml))`")


def unreasoned(line: str) -> bool:
    """Whether a line ignores a rule and does not say why."""
    ignored = IGNORED.search(line)
    return ignored is not None and not NO_REASON.sub("", ignored["rest"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = 1", False),
        ("x = 1  # noqa: S311 - jitter, not a secret", False),
        ("x = 1  # noqa: S606, S607 becomes tail", False),
        ("x = 1  # type: ignore[arg-type] # reads only", False),
        ("x = 1  # noqa: S311", True),
        ("x = 1  # noqa", True),
        ("x = 1  # type: ignore[arg-type]", True),
        ("x = 1  # type: ignore", True),
    ],
)
def test_an_ignore_without_a_reason_is_found(line: str, *, expected: bool) -> None:
    assert unreasoned(line) is expected


def test_every_ignore_and_every_skip_gives_its_reason_on_its_line() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in SOURCES
        if file != Path(__file__)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if unreasoned(line) or (SKIPPED.search(line) and "reason=" not in line)
    ]
    assert found == []


def test_no_source_file_is_longer_than_can_be_read() -> None:
    long = {name_of(file): len(file.read_text().splitlines()) for file in SOURCES}
    assert {name: lines for name, lines in long.items() if lines > LINES} == {}


def test_the_name_of_every_module_says_what_is_in_it() -> None:
    assert [name_of(file) for file in SOURCES if {file.stem, file.parent.name} & SAY_NOTHING] == []


def texts() -> Iterator[tuple[str, str]]:
    """Everything in which code is named: pages, sources, the template and the Makefile."""
    for file in (*PAGES, *SOURCES, ROOT / "template.yaml", ROOT / "Makefile"):
        yield name_of(file), file.read_text()


def there_is(name: str) -> bool:
    """Whether `name` is a module, or something in a module or a class."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if part in getattr(found, "__annotations__", {}):
                return True  # a field
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_whatever_code_is_named_it_is_there() -> None:
    assert there_is("quorum.vote.tally.tally")
    assert not there_is("quorum.vote.tally.ballot")
    named = {(where, name) for where, text in texts() for name in NAMED.findall(text)}
    assert len({name for _, name in named}) > 40
    assert [(where, name) for where, name in sorted(named) if not there_is(name)] == []


def test_whatever_file_is_named_it_is_there() -> None:
    roots = (
        ROOT,
        ROOT / "layers/quorum/python",
        ROOT / "layers/quorum/python/quorum",
        ROOT / "layers/embedded/python/embedded",
        Path(sysconfig.get_path("purelib")),  # files of third parties
    )
    named = {
        (where, file)
        for where, text in texts()
        for file in FILE.findall(text)
        if "/" in file and not file.startswith(".local")
    }
    assert len(named) > 20
    gone = [
        (where, file)
        for where, file in sorted(named)
        if not any((root / file).exists() for root in (*roots, (ROOT / where).parent))
    ]
    assert gone == []


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    names = {re.split(r"[\[>=<]", dependency)[0] for listed in wanted for dependency in listed}
    explained = (ROOT / "docs/decisions/0006-dependencies.md").read_text().lower()
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", explained)) == []


NUMBERS_WITHOUT_DECISION = {"0038": "given to the reviewers' console, which is being built"}


def test_each_decision_has_a_number_of_its_own_and_says_it() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [file.name[:4] for file in decisions]
    assert sorted(set(numbers)) == numbers
    missing = {f"{number:04}" for number in range(1, int(numbers[-1]) + 1)} - set(numbers)
    assert missing <= NUMBERS_WITHOUT_DECISION.keys()
    titles = [file.read_text().splitlines()[0] for file in decisions]
    assert [
        title
        for title, number in zip(titles, numbers, strict=True)
        if not title.startswith(f"# {number} · ")
    ] == []
