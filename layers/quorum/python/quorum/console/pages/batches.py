"""Pages of batches: a list, and one with its progress as it goes on."""

from typing import TYPE_CHECKING

from quorum.api.access import ACCESS
from quorum.batch.records import PAGE_LIMIT
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.routes import batches

if TYPE_CHECKING:
    from quorum.routes.batches import Result

LIVE = frozenset({"receiving", "running", "paused"})
"""States in which a batch's progress changes by itself."""
DEAD_SHOWN = 20
"""Dead letters that are shown, of the first items of a batch."""
_REVIEW = ACCESS["POST /reviews/claim"]
_READ = ACCESS["GET /batches"]
_CHANGE = ACCESS["POST /batches/{batch_id}/redrive"]


def listed(visit: Visit) -> Answer:
    """The batches that are kept, newest first."""
    page = batches.get_batches(visit.app, visit.caller, after=visit.request.asked.get("next"))
    return visit.page("batches.html", batches=page.batches, next=page.next)


def progress(visit: Visit, batch_id: str) -> Answer:
    """One batch: how far it is, what it cost, and what could not be judged."""
    batch = batches.get_batch(batch_id, visit.app, visit.caller)
    return visit.page(
        "batch.html",
        batch=batch,
        dead=_dead(visit, batch_id) if batch.dead else [],
        live=batch.state in LIVE,
        may_review=visit.may(_REVIEW),
        redriven=visit.request.asked.get("redriven") == "1",
    )


def redrive(visit: Visit, batch_id: str) -> Answer:
    """Redrive the dead letters."""
    batches.post_redrive(batch_id, visit.app, visit.caller)
    return visit.go(f"batches/{batch_id}", redriven="1")


def cancel(visit: Visit, batch_id: str) -> Answer:
    """Begin no more items of the batch."""
    batches.delete_batch(batch_id, visit.app, visit.caller)
    return visit.go(f"batches/{batch_id}")


def _dead(visit: Visit, batch_id: str) -> "list[Result]":
    found = batches.get_results(batch_id, visit.app, visit.caller, limit=PAGE_LIMIT, gaps=True)
    return [one for one in found.items if one.dead is not None][:DEAD_SHOWN]


PAGES = (
    Page("GET", "batches", _READ, listed, in_navigation=True),
    Page("GET", "batches/{batch_id}", _READ, progress),
    Page("POST", "batches/{batch_id}/redrive", _CHANGE, redrive),
    Page("POST", "batches/{batch_id}/cancel", ACCESS["DELETE /batches/{batch_id}"], cancel),
)
