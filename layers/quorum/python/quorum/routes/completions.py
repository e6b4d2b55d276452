"""The route of the OpenAI API's chat completions."""

from http import HTTPStatus
from time import time

from aws_lambda_powertools.event_handler import Response

from quorum.answer import completions
from quorum.answer.completions import ChatCompletion, ChatCompletionRequest
from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.aws import loop
from quorum.core.errors import (
    AnswerEmpty,
    AnswerFailed,
    AnswerUnusable,
    BudgetSpent,
    ModelRefused,
    ModelThrottled,
    ModelTimedOut,
    ModelUnavailable,
    ModelUnknown,
    PromptTooLong,
    TooLarge,
)
from quorum.gateway.deadline import Deadline
from quorum.routes.parameters import App

router = new_router()


@router.post(
    "/chat/completions",
    summary="Ask a model, as the OpenAI API does",
    **gives(
        ChatCompletion,
        *(ModelUnknown, PromptTooLong, ModelRefused, BudgetSpent, TooLarge, ModelThrottled),
        *(ModelUnavailable, AnswerEmpty, AnswerFailed, AnswerUnusable, ModelTimedOut),
        stream=True,
    ),
)
def post_chat_completion(
    request: ChatCompletionRequest, app: App, caller: Calling
) -> Response[ChatCompletion | str]:
    """The answer, whole or as server-sent events; path and form are those of OpenAI's API.

    Events are sent when the answer is complete, because API Gateway passes bodies on whole. The
    WebSocket sends tokens as they are generated.
    """
    question = request.to_question(app.settings.default_model)
    deadline = Deadline.of_lambda(router.lambda_context.get_remaining_time_in_millis())
    asked = app.asking.answer(
        caller.tenant, question, deadline=deadline, use_cache=request.use_cache
    )
    answered = completions.require_answer(loop.run(asked))
    name, created = f"chatcmpl-{router.current_event.request_context.request_id}", int(time())
    if not request.stream:
        whole = completions.completion(answered, name=name, created=created)
        return Response(HTTPStatus.OK.value, "application/json", whole)
    options = request.stream_options
    with_usage = options is not None and options.include_usage
    events = completions.events(answered, name=name, created=created, with_usage=with_usage)
    return Response(HTTPStatus.OK.value, "text/event-stream", "".join(events))
