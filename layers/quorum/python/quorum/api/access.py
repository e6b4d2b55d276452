"""The scopes that each route of the HTTP API needs: a key must have one of those listed.

An empty entry is a route for every key. A route that is not listed here is served to nobody.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quorum.core.scopes import Scope

_READ: "tuple[Scope, ...]" = ("batch", "review", "operate")
"""Scopes of keys that read what belongs to the whole tenant. A key with `moderate` alone, which a
browser may hold, must not list verdicts or see how policies and panels may be got round."""

ACCESS: "Mapping[str, tuple[Scope, ...]]" = MappingProxyType(
    {
        "POST /verdicts": ("moderate",),
        "GET /verdicts/{verdict_id}": ("moderate",),
        "POST /moderations": ("moderate",),
        "POST /v1alpha1/comments:analyze": ("moderate",),
        "POST /v1alpha1/comments:suggestscore": ("moderate",),
        "GET /$discovery/rest": (),
        "GET /verdicts": _READ,
        "GET /panels": _READ,
        "GET /policies": _READ,
        "GET /policies/{name}": _READ,
        "GET /stats": ("batch", "chat", "documents", "operate"),
        "GET /costs": ("batch", "chat", "documents", "operate"),
        "GET /languages": (),
        "GET /models": (),
        "GET /models/{name}": (),
        "GET /health": (),
        "POST /batches": ("batch",),
        "POST /batches/uploads": ("batch", "documents"),
        "GET /batches": ("batch", "documents"),
        "GET /batches/{batch_id}": ("batch", "documents"),
        "GET /batches/{batch_id}/results": ("batch", "documents"),
        "DELETE /batches/{batch_id}": ("batch", "documents"),
        "POST /batches/{batch_id}/redrive": ("batch", "documents"),
        "POST /documents": ("documents",),
        "POST /documents/estimate": ("documents",),
        "POST /chat/completions": ("chat",),
        "POST /verdicts/{verdict_id}/review": ("review",),
        "GET /reviews": ("review",),
        "GET /suggestions": ("review",),
        "PUT /policies/{name}": ("operate",),
        "DELETE /policies/{name}": ("operate",),
        "PUT /policies/{name}/shadow": ("operate",),
        "DELETE /policies/{name}/shadow": ("operate",),
        "POST /policies/{name}/try": ("operate",),
        "PUT /models/{name}": ("operate",),
        "DELETE /models/{name}": ("operate",),
        "POST /models/{name}/probe": ("operate",),
        "GET /reviews/counts": ("review",),
        "POST /reviews/claim": ("review",),
        "POST /reviews/decide": ("review",),
        "POST /reviews/{verdict_id}/claim": ("review",),
        "POST /reviews/{verdict_id}/release": ("review",),
        "POST /reviews/{verdict_id}/skip": ("review",),
        "POST /reviews/{verdict_id}/escalate": ("review",),
        "POST /reviews/{verdict_id}/undo": ("review",),
        "GET /labels": ("review", "operate"),
        "POST /proposals": ("operate",),
        "GET /proposals": ("review", "operate"),
        "GET /proposals/{proposal_id}": ("review", "operate"),
        "POST /proposals/{proposal_id}/shadow": ("operate",),
        "POST /proposals/{proposal_id}/promote": ("operate",),
        "POST /proposals/{proposal_id}/withdraw": ("operate",),
        "GET /transparency": ("review", "operate"),
        "GET /verdicts/{verdict_id}/replay": _READ,
        "GET /verdicts/{verdict_id}/statement": _READ,
        "POST /verdicts/{verdict_id}/appeal": ("moderate",),
        "GET /audit": ("operate",),
        "GET /keys": ("operate",),
        "POST /keys": ("operate",),
        "DELETE /keys/{key_id}": ("operate",),
        "POST /keys/{key_id}/rotate": ("operate",),
        "GET /webhooks": ("operate",),
        "GET /webhooks/{webhook}": ("operate",),
        "PUT /webhooks/{webhook}": ("operate",),
        "DELETE /webhooks/{webhook}": ("operate",),
        "POST /webhooks/{webhook}/rotate": ("operate",),
        "POST /webhooks/{webhook}/test": ("operate",),
        "GET /webhooks/{webhook}/dead-letters": ("operate",),
        "POST /webhooks/{webhook}/redrive": ("operate",),
        "GET /events": ("operate",),
        "GET /events/rule": ("operate",),
        "PUT /events/rule": ("operate",),
    }
)

WITHOUT_KEY = frozenset({"GET /$discovery/rest"})
"""The routes that nobody needs a key for: they tell nothing of a tenant."""
