"""HTTP routes: validate → answer."""

from datetime import UTC, date, datetime
from functools import cache
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from quorum.answer import completions, listing
from quorum.answer.answers import Statistics
from quorum.answer.completions import ChatCompletionRequest
from quorum.api.http import answer, answers, resolve, resolver
from quorum.api.idempotency import once
from quorum.app.api import ApiContainer
from quorum.app.settings import ApiSettings
from quorum.aws import loop
from quorum.aws.keys import OPERATORS
from quorum.batch.progress import BatchRecord, Kind
from quorum.batch.records import PAGE_LIMIT
from quorum.bulk.requests import BatchRequest
from quorum.core.errors import NotAllowed
from quorum.core.identifiers import batch_id_of
from quorum.core.models import Frozen, Verdict
from quorum.core.position import INDEX_DIGITS
from quorum.document.batches import DocumentBatchView
from quorum.document.requests import DocumentsRequest
from quorum.gateway.deadline import Deadline
from quorum.health.examination import examined
from quorum.ledger import ledger
from quorum.ledger.costs import By
from quorum.vote.panel import PACKAGED
from quorum.vote.policy import POLICY_VERSION
from quorum.vote.requests import ReviewRequest, VerdictRequest
from quorum.vote.reviews import PAGE_LIMIT as REVIEWS_LIMIT
from quorum.vote.reviews import Page, Status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.batch.kinds import BatchKind
    from quorum.vote.panels import Effective

routes = resolver()

REDRIVE_SECONDS = 15.0
"""How long one request looks through the dead letters."""

From = Annotated[date | None, Query(alias="from")]
To = Annotated[date | None, Query(alias="to")]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]


@cache
def app() -> ApiContainer:
    """What this function opens, once per environment."""
    return ApiContainer(ApiSettings.from_environment())


@routes.post("/verdicts", summary="Judge a content", responses=answers(Verdict))
def post_verdict(request: VerdictRequest, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """The verdict, with every vote and what it cost."""
    panel = app().panels.get(tenant(), request.panel or app().settings.default_panel)

    def judge() -> dict[str, Any]:
        app().budget.check(tenant())
        verdict = app().workflow.moderate(tenant(), request.to_content(), panel)
        return verdict.model_dump(mode="json")

    table = app().settings.verdicts_table
    context = routes.lambda_context
    return answer(once(table, tenant(), idempotency_key, request, judge, context=context))


@routes.get("/verdicts/<verdict_id>", summary="Read a verdict", responses=answers(Verdict))
def get_verdict(verdict_id: str) -> Response[Any]:
    """A stored verdict of the caller's tenant."""
    return answer(app().verdicts.get(tenant(), verdict_id))


@routes.post(
    "/verdicts/<verdict_id>/review", summary="Review a verdict", responses=answers(Verdict)
)
def post_review(verdict_id: str, request: ReviewRequest) -> Response[Any]:
    """The verdict with the review; the panel's own decision stays as it was. For operators."""
    require_operator()
    return answer(app().reviews.add(tenant(), verdict_id, request.to_review(datetime.now(UTC))))


@routes.get("/reviews", summary="List what waits for a reviewer", responses=answers(Page))
def get_reviews(
    status: Annotated[Status, Query()] = "pending",
    limit: Annotated[int, Query(ge=1, le=REVIEWS_LIMIT)] = REVIEWS_LIMIT,
    after: Annotated[str | None, Query(alias="next", max_length=512)] = None,
) -> Response[Any]:
    """Verdicts with their contents, as far as they are kept; the oldest first. For operators.

    `status=reviewed` lists what people have decided.
    """
    require_operator()
    return answer(app().reviews.page(tenant(), status, limit=limit, after=after))


@routes.post("/batches", summary="Hand in a batch of contents")
def post_batch(request: BatchRequest, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """202 with the batch's id, and which items were rejected and why."""
    return begin(app().batch_kinds[request.kind], request, idempotency_key, idempotency_key)


def begin(
    kind: "BatchKind[Any]", request: Frozen, idempotency_key: str | None, key: str | None
) -> Response[Any]:
    """202 with what was taken; the batch's id is derived from `key` where there is one."""
    batch = uuid4().hex if key is None else batch_id_of(tenant(), key)

    def take() -> dict[str, Any]:
        app().budget.check(tenant())
        return kind.start(tenant(), batch, request).model_dump(mode="json")

    table = app().settings.verdicts_table
    context = routes.lambda_context
    taken = once(table, tenant(), idempotency_key, request, take, context=context)
    return answer(taken, HTTPStatus.ACCEPTED)


@routes.post("/documents", summary="Hand in a batch of documents")
def post_documents(
    request: DocumentsRequest, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """202 with the batch's id, and which documents were rejected and why."""
    # Its own ids: the same key may have named a batch of contents long ago.
    key = None if idempotency_key is None else f"documents#{idempotency_key}"
    return begin(app().batch_kinds[Kind.DOCUMENTS], request, idempotency_key, key)


@routes.post("/batches/uploads", summary="Get a place to upload a large batch to")
def post_upload() -> Response[Any]:
    """A presigned URL to PUT JSONL to, and the key to name in `POST /batches`."""
    return answer(app().bulk.new_upload(tenant()), HTTPStatus.CREATED)


@routes.get("/batches/<batch_id>", summary="See how far a batch is")
def get_batch(batch_id: str) -> Response[Any]:
    """Counts by state and decision, cost so far, and what is left of both."""
    return shown(app().batches.record(tenant(), batch_id))


@routes.get("/batches/<batch_id>/results", summary="Read a batch's results in input order")
def get_results(
    batch_id: str,
    start: Annotated[int, Query(ge=0, lt=10**INDEX_DIGITS)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 100,
    gaps: Annotated[bool, Query()] = False,  # noqa: FBT002 a query
) -> Response[Any]:
    """A page from index `start`, up to the first item not settled yet; with `gaps`, beyond it."""
    page = app().batches.results(tenant(), batch_id, start=start, limit=limit, gaps=gaps)
    for document in (item["document"] for item in page["items"] if "document" in item):
        key = document.pop("answer_key")
        document["answer_url"] = None if key is None else app().bucket.link(key)
    return answer(page)


@routes.delete("/batches/<batch_id>", summary="Cancel a batch")
def delete_batch(batch_id: str) -> Response[Any]:
    """What has not begun will not be; the rest is settled as it comes."""
    record = app().batches.cancel(tenant(), batch_id)
    app().batch_kinds[record.kind].stop(record)
    return shown(record)


def shown(record: BatchRecord) -> Response[Any]:
    """The batch in the one form that has a place for what any kind of batch shows."""
    view = app().batch_kinds[record.kind].view(record)
    return answer(DocumentBatchView(**dict(view)))


@routes.post("/batches/<batch_id>/redrive", summary="Send a batch's dead letters round again")
def post_redrive(batch_id: str) -> Response[Any]:
    """How many were; `complete` is false when there may be more, for another such request."""
    record = app().batches.record(tenant(), batch_id)
    redriven = app().batch_kinds[record.kind].redrive(record, seconds=REDRIVE_SECONDS)
    return answer(redriven, HTTPStatus.ACCEPTED)


@routes.post("/chat/completions", summary="Ask a model, as the OpenAI API does")
def post_chat_completion(request: ChatCompletionRequest) -> Response[Any]:
    """The answer, whole or as server-sent events; the path and the form are those of OpenAI's API.

    Events come when the answer is complete, for API Gateway hands bodies on whole; tokens as they
    are made come by the WebSocket.
    """
    question = request.to_question(app().settings.default_model)
    deadline = Deadline.of_lambda(routes.lambda_context.get_remaining_time_in_millis())
    asked = app().asking.answer(tenant(), question, deadline=deadline, use_cache=request.use_cache)
    answered = completions.require_answer(loop.run(asked))
    name, created = f"chatcmpl-{routes.current_event.request_context.request_id}", int(time())
    if not request.stream:
        return answer(completions.completion(answered, name=name, created=created))
    options = request.stream_options
    with_usage = options is not None and options.include_usage
    events = completions.events(answered, name=name, created=created, with_usage=with_usage)
    return Response(HTTPStatus.OK.value, "text/event-stream", "".join(events))


@routes.get("/stats", summary="See what kept answers saved", responses=answers(Statistics))
def get_stats(start: From = None, end: To = None) -> Response[Any]:
    """Hits, misses and savings of the caller's tenant, as counted; this month, left out."""
    return answer(app().answers.statistics(tenant(), *days(start, end)))


@routes.get("/costs", summary="See what was spent on what")
def get_costs(
    start: From = None, end: To = None, by: Annotated[By, Query()] = "model"
) -> Response[Any]:
    """Booked and possibly paid, of the caller's tenant; of all for the deployment's operator."""
    role = routes.current_event.request_context.authorizer["role"]
    whose = None if role == "deployment_operator" else tenant()
    return answer(app().costs.report(whose, *days(start, end), by))


@routes.get("/panels", summary="List the tenant's panels")
def get_panels(
    name: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Response[Any]:
    """Who sits, in which rounds, with which weights and thresholds, and where that comes from.

    The packaged names and the default one; with `name` that one, which may be the tenant's own.
    """
    default = app().settings.default_panel
    names = dict.fromkeys((*PACKAGED, default)) if name is None else (name,)
    return answer(
        {
            "default": default,
            "policy_version": POLICY_VERSION,
            "panels": [described(app().panels.effective(tenant(), name)) for name in names],
        }
    )


@routes.get("/models", summary="List the models, as the OpenAI API does")
def get_models() -> Response[Any]:
    """The registry in the form of the OpenAI API; beside it prices, limits and who votes."""
    return answer(listing.models())


@routes.get("/models/<name>", summary="Read a model, as the OpenAI API does")
def get_model(name: str) -> Response[Any]:
    """One model of the list, by its name or an alias."""
    return answer(listing.model(name))


@routes.get("/health", summary="Is the service up? With deep=1, the gateway too")
def get_health(deep: Annotated[bool, Query()] = False) -> Response[Any]:  # noqa: FBT002 a query
    """Answers when the function runs and its settings are complete.

    `deep` examines every base URL of the gateway, for operators only: it costs a short answer each.
    """
    health: dict[str, Any] = {"status": "ok", "default_panel": app().settings.default_panel}
    if not deep:
        return answer(health)
    require_operator()
    report = examined(app().gateway, app().dynamodb, app().settings.usage_table, tenant())
    status = HTTPStatus.OK if report.healthy else HTTPStatus.SERVICE_UNAVAILABLE
    return answer(health | {"gateway": report.model_dump(mode="json")}, status)


def described(effective: "Effective") -> dict[str, Any]:
    """A panel as it is shown: its document, its version and where it comes from."""
    panel = effective.panel
    return panel.document() | {"version": panel.version, "source": effective.source}


def days(start: date | None, end: date | None) -> tuple[date, date]:
    """The days a report is on: to today, and from its month's first, where the query names none.

    Raises `InvalidRequest` for days that make no report.
    """
    last = end or ledger.today()
    first = start or last.replace(day=1)
    ledger.require_days(first, last)
    return first, last


def tenant() -> str:
    """Whose request this is, as the authorizer found."""
    return str(routes.current_event.request_context.authorizer["tenant"])


def require_operator() -> None:
    """Raises `NotAllowed` for a key that is not an operator's."""
    if routes.current_event.request_context.authorizer["role"] not in OPERATORS:
        raise NotAllowed("this takes an operator's key", code="operators_only")


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """One HTTP request of API Gateway's proxy integration."""
    return resolve(routes, event, context)
