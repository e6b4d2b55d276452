"""`make audit`: bandit over the code, and pip-audit over every package that is locked.

Exits with 1 for a finding, and with 3 where the database of vulnerabilities cannot be reached: then
nothing is known of the packages.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".local/audit/bin"
CODE = (
    *("layers/quorum", "layers/embedded", "functions", "quorum_client", "quorum_moderator"),
    *("analysis", "cli", "local", "fakes", "bench", "training"),
)
FOUND, NOT_REACHED = 1, 3
"""Exit codes."""
SECONDS = 300
"""Seconds for the packages of one file."""


class Audited(NamedTuple):
    """What the database says of some packages: how many it knows, its findings, what it lacks."""

    known: int
    findings: tuple[str, ...]
    unknown: tuple[str, ...]


NOTHING = Audited(0, (), ())


def read(report: str) -> Audited:
    """What pip-audit's report (JSON) says; of a package that it skips nothing is known."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return NOTHING
    known = [one for one in packages if "skip_reason" not in one]
    return Audited(
        known=len(known),
        findings=tuple(
            f"{one['name']} {one['version']}: {found['id']}, mended in"
            f" {', '.join(found['fix_versions']) or 'no version'}"
            for one in known
            for found in one["vulns"]
        ),
        unknown=tuple(one["name"] for one in packages if "skip_reason" in one),
    )


def told(audited: Iterable[Audited]) -> tuple[str, int]:
    """What there is to say of all files together, and the exit code."""
    parts = tuple(audited)
    findings = sorted({finding for one in parts for finding in one.findings})
    unknown = sorted({name for one in parts for name in one.unknown})
    if not any(one.known for one in parts):
        return (
            "pip-audit: its database cannot be reached; nothing is known of the packages",
            NOT_REACHED,
        )
    said = [*findings, f"pip-audit: {len(findings)} findings"]
    if unknown:
        said.append(f"pip-audit: the database does not know {', '.join(unknown)}")
    return "\n".join(said), FOUND if findings else 0


def audited(requirements: Path) -> Audited:
    """The packages that a file pins, as the database knows them."""
    command = [str(TOOLS / "pip-audit"), "--progress-spinner", "off", "--format", "json"]
    command += ["--disable-pip", "--require-hashes", "--requirement", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return NOTHING
    return read(done.stdout)


def exported(folder: Path) -> Path:
    """The locked packages of the command line, as requirements."""
    file = folder / "cli.txt"
    command = [str(ROOT / ".venv/bin/uv"), "export", "--quiet", "--frozen", "--only-group", "cli"]
    command += ["--no-emit-project", "--output-file", str(file)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return file


def main() -> None:
    """Run both, and say what they found."""
    bandit = [str(TOOLS / "bandit"), "--quiet", "--configfile", "pyproject.toml", "--recursive"]
    code = subprocess.run([*bandit, *CODE], check=False, cwd=ROOT).returncode
    sys.stdout.write("bandit: nothing found\n" if code == 0 else "bandit: see above\n")
    with tempfile.TemporaryDirectory() as folder:
        files = [*sorted(ROOT.glob("layers/*/requirements.txt")), exported(Path(folder))]
        said, of_packages = told(map(audited, files))
    sys.stdout.write(f"{said}\n")
    sys.exit(FOUND if code else of_packages)


if __name__ == "__main__":
    main()
