"""Mutation tests of the modules that decide verdicts and money.

`python -m local.mutants [--limit N] [module …]`, in the environment of `make mutants`. mutmut
changes a module's functions, one expression at a time, and runs the module's own tests on every
change. A change that no test notices has survived: a test is missing, or the change changes
nothing. The figures go into the table of `docs/mutants.md`; the changes that survived, into
`.local/mutants/<module>/survivors.diff`.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from mutmut.configuration import reset_config
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "mutants.md"
TESTS = {
    "ledger/ledger.py": ("test_ledger.py",),
    "core/exact.py": ("test_exact.py",),
    "vote/tally.py": ("test_tally.py", "test_tally_exact.py"),
    "vote/reply.py": ("test_reply.py", "test_reply_exact.py"),
    "vote/panel.py": ("test_panel.py",),
    "gateway/limiter.py": ("test_limiter_exact.py",),
    "gateway/fair_share.py": ("test_fair_share_exact.py",),
}
"""The modules below `quorum/`, each with its tests below `tests/unit/`."""

_SEED = 1
_EXAMPLES = 30
"""Examples of a property for every mutant."""
_ROW = re.compile(r"\| `quorum/(\S+?)` \|.*\|\n")
_CONFIGURATION = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["{source}"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["--hypothesis-profile=mutants", "-k", "not takes_long"]
# A busy machine is slow, which is no reason to call a mutant killed.
timeout_constant = 4.0
use_git_change_detection = false
"""


def main() -> None:
    """Test the mutants of the modules named, or of all."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("modules", nargs="*", metavar="module", help=f"of {', '.join(TESTS)}")
    parser.add_argument("--limit", type=int, help="test at most this many mutants of a module")
    given = parser.parse_args()
    for name in given.modules or TESTS:
        module = next((path for path in TESTS if name in {path, Path(path).stem}), None)
        if module is None:
            parser.error(f"{name} is none of {', '.join(TESTS)}")
        _report(module, given.limit, *_test(module, given.limit))


def _test(module: str, limit: int | None) -> tuple[int, dict[str, str]]:
    """Test a module's mutants; returns their number, and the result of each tested one by name."""
    folder = _folder(module)
    source = _lay_out(module, folder)
    os.chdir(folder)
    reset_config()  # mutmut remembers that of the module before
    mutated = mutate_file_contents(str(source), source.read_text(encoding="utf-8"))
    names = [get_mutant_name(source, name) for name in mutated.mutant_names]
    drawn = names if limit is None else random.Random(_SEED).sample(names, min(limit, len(names)))  # noqa: S311 - a sample, not a secret
    mutmut = str(Path(sys.executable).parent / "mutmut")
    command = [mutmut, "run", "--max-children", "1", *(drawn if limit else ())]
    subprocess.run(command, check=True)
    told = json.loads((folder / "mutants" / f"{source}.meta").read_text(encoding="utf-8"))
    return len(names), {name: status_by_exit_code[told["exit_code_by_key"][name]] for name in drawn}


def _folder(module: str) -> Path:
    return ROOT / ".local" / "mutants" / Path(module).stem


def _lay_out(module: str, folder: Path) -> Path:
    """Create the tree of files that mutmut needs; returns the module's path in it."""
    shutil.rmtree(folder, ignore_errors=True)
    forgotten = shutil.ignore_patterns("__pycache__", ".hypothesis")
    package = ROOT / "layers" / "quorum" / "python" / "quorum"
    shutil.copytree(package, folder / "src" / "quorum", ignore=forgotten)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=forgotten)
    for test in (folder / "tests").rglob("test_*.py"):
        text = test.read_text(encoding="utf-8")
        few = re.sub(r"max_examples=\d+", f"max_examples={_EXAMPLES}", text)
        test.write_text(few, encoding="utf-8")
    source = Path("src") / "quorum" / module
    tests = json.dumps([f"tests/unit/{name}" for name in TESTS[module]])
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        project + _CONFIGURATION.format(source=source, tests=tests), encoding="utf-8"
    )
    return source


def _report(module: str, limit: int | None, total: int, became: dict[str, str]) -> None:
    """Write the table's row and the survivors' changes."""
    counts = Counter(became.values())
    survivors = [name for name, status in became.items() if status in {"survived", "no tests"}]
    killed = counts["killed"] + counts["timeout"]
    if killed + len(survivors) != len(became):
        sys.exit(f"{module}: mutmut did not finish: {dict(counts)}")
    source = Path("src") / "quorum" / module
    diff = _folder(module) / "survivors.diff"
    shown = (f"# {name}\n{get_diff_for_mutant(name, path=source)}\n" for name in survivors)
    diff.write_text("".join(shown), encoding="utf-8")
    command = f"make mutants MODULE={Path(module).stem}" + (f" LIMIT={limit}" if limit else "")
    row = (
        f"| `quorum/{module}` | {total} | {len(became)} | {killed} | {len(survivors)} "
        f"| `{command}` | {datetime.now(UTC).date()} |\n"
    )
    print(row, f"survivors: {diff}", sep="", flush=True)
    _enter(module, row)


def _enter(module: str, row: str) -> None:
    """Replace a module's row in the table."""
    page = PAGE.read_text(encoding="utf-8")
    rows = {found[1]: found[0] for found in _ROW.finditer(page)} | {module: row}
    ordered = "".join(rows[path] for path in TESTS if path in rows)
    head, begin, rest = page.partition("|---|---:|---:|---:|---:|---|---|\n")
    PAGE.write_text(head + begin + ordered + _ROW.sub("", rest), encoding="utf-8")


if __name__ == "__main__":
    main()
