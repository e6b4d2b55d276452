"""The pages of the console, each with its address and the scopes of which it needs one.

A page reads its form, calls what the route of the same subject calls, and shows a template.
"""

from quorum.console.pages import (
    account,
    audit,
    batches,
    costs,
    health,
    keys,
    labels,
    panels,
    policies,
    review,
    trial,
    verdicts,
    webhooks,
)
from quorum.console.pages.page import Page

PAGES: tuple[Page, ...] = (
    *account.PAGES,
    *review.PAGES,
    *trial.PAGES,
    *verdicts.PAGES,
    *batches.PAGES,
    *policies.PAGES,
    *panels.PAGES,
    *labels.PAGES,
    *costs.PAGES,
    *keys.PAGES,
    *webhooks.PAGES,
    *health.PAGES,
    *audit.PAGES,
)
"""All pages for those who are signed in, in the order of the navigation."""

__all__ = ["PAGES", "Page"]
