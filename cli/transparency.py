"""`quorum transparency`: the report on a period's decisions."""

from quorum.review.transparency import TransparencyReport
from quorum.vote.quality_sample import Estimate
from rich.table import Table

from cli import days
from cli.deployment import Where
from cli.output import AsJson, console, notes, print_json
from cli.service import connect


def transparency(
    *,
    since: days.Since = None,
    until: days.Until = None,
    as_json: AsJson = False,
    where: Where = "local",
) -> None:
    """Report decisions, how many no person made, how many were wrong, and appeals.

    Needs an operator's key. It holds no contents.
    """
    query = days.query(since, until)
    answer = connect(where, operator=True).get("transparency", **query)
    report = TransparencyReport.model_validate(answer)
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    table = Table("figure", "value", title=f"{report.start} to {report.end}")
    for name, value in _rows(report):
        table.add_row(name, value)
    console().print(table)
    if not report.complete:
        notes.print("People decided more than one report reads: ask for fewer days.")


def _rows(report: TransparencyReport) -> list[tuple[str, str]]:
    """The names and values of the figures."""
    verdicts = [(f"verdicts {one}", f"{count:,}") for one, count in report.verdicts.items()]
    reviewed = [(f"people decided {one}", f"{count:,}") for one, count in report.reviewed.items()]
    seconds = report.median_review_seconds
    appeals = report.appeals
    return [
        *verdicts,
        ("decided without a person", _share(report.automated_share)),
        *reviewed,
        ("median time to a person's decision", "–" if seconds is None else f"{seconds:,.0f} s"),
        ("wrong, of what panels decided", _estimate(report.quality.wrong)),
        ("wrong, of what they called unsafe", _estimate(report.quality.wrongly_unsafe)),
        ("wrong, of what they called safe", _estimate(report.quality.wrongly_safe)),
        ("appeals", f"{appeals.made:,}"),
        ("appeals upheld, overturned", f"{appeals.upheld:,}, {appeals.overturned:,}"),
        ("overturned, of the decided appeals", _share(appeals.overturn_rate)),
    ]


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _estimate(found: Estimate | None) -> str:
    if found is None:
        return "– (nothing was checked)"
    interval = f"{found.low:.1%} to {found.high:.1%}"
    return f"{found.share:.1%} ({interval}; {found.sampled:,} checked)"
