"""The documentation of the API, for everybody: it has no permissions and reads no request."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.api.pages import Pages
from quorum.aws.boundary import guarded

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

pages = Pages(Path(__file__).parent)


@guarded
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Answer one HTTP request of API Gateway's proxy integration."""
    # Not `path`: under a domain of one's own it begins with what the domain puts before it.
    path = str(event["resource"]).format(**(event.get("pathParameters") or {}))
    return pages.answer(path)
