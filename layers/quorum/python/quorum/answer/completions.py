"""The form of the OpenAI API's chat completions: its requests and its answers. Pure.

Format: the OpenAI API reference, "Chat", "Create chat completion" and "The chat completion chunk
object". Added are `use_cache` in the request, and `cached` and `cost_usd` in the answer.
A field that is null counts as left out. A message that the API answered with may be sent
back as it came.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from quorum.answer.questions import Answered, ChatMessage, Question
from quorum.core.errors import AnswerEmpty, AnswerFailed, AnswerUnusable
from quorum.core.fields import UnicodeText, unkeepable
from quorum.core.json_types import NUMBER, WHOLE_NUMBER, TrueOrFalse
from quorum.core.models import Dollars, Frozen
from quorum.core.rejection import ALTERNATIVE

MESSAGES_LIMIT = 2_000
"""Messages of one conversation."""
OUTPUT_LIMIT = 32_768
"""Tokens: the highest `max_tokens` of a request; the model's window may hold fewer."""
OUTPUT_TOKENS = 1_024
"""Tokens: the default of `max_tokens`. A request ends after 29 s."""
STOPS_LIMIT = 4
SEED_LIMIT = 2**63
"""Seeds are whole numbers of 64 bits."""
SCHEMA_BYTES = 64 * 1024
_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}


class Nullable(Frozen):
    """An object in which a field that is null counts as left out, as in the OpenAI API."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}


class Part(Nullable):
    """A part of a message: a text, or the words in which an assistant refused."""

    type: Literal["text", "refusal"]
    text: UnicodeText | None = None
    cache_control: dict[str, Any] | None = None
    refusal: UnicodeText | None = None

    @model_validator(mode="after")
    def _of_its_type(self) -> "Part":
        if (self.text is None) == (self.refusal is None) or self.said is None:
            raise ValueError(f"a part of type {self.type} has the field {self.type} and no other")
        return self

    @property
    def said(self) -> str | None:
        """The words of the part."""
        return self.text if self.type == "text" else self.refusal


def _one_or_list(given: Any) -> str:
    return _LIST if isinstance(given, list) else _ONE


_ONE, _LIST = f"{ALTERNATIVE}one", f"{ALTERNATIVE}list"
_EITHER = Discriminator(_one_or_list)
"""Tells a list from a single value, so that an error is about the one that was sent."""


class Message(Nullable):
    """A turn in the form of the OpenAI API, with every field that the API gives an answer.

    `annotations`, what a model thought, and what a gateway adds of its own (LiteLLM's and
    OpenRouter's fields) are no part of what was said, and are left out.
    """

    role: Literal["system", "developer", "user", "assistant"]
    content: (
        Annotated[
            Annotated[UnicodeText, Tag(_ONE)] | Annotated[list[Part], Tag(_LIST)],
            _EITHER,
        ]
        | None
    ) = None
    refusal: UnicodeText | None = None
    name: Annotated[str, StringConstraints(max_length=64)] | None = None
    annotations: list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Any] | None = None
    thinking_blocks: list[Any] | None = None
    provider_specific_fields: dict[str, Any] | None = None
    tool_calls: tuple[()] = ()

    @model_validator(mode="after")
    def _says_something(self) -> "Message":
        if self.content is None and (self.role != "assistant" or self.refusal is None):
            raise ValueError("content is missing")
        if self.refusal is not None and self.role != "assistant":
            raise ValueError("only an assistant refuses")
        return self

    def to_message(self) -> ChatMessage:
        """The turn, its parts as one text; a refusal is what was said where nothing else was."""
        parts = self.content or ()
        joined = parts if isinstance(parts, str) else "".join(part.said or "" for part in parts)
        return ChatMessage(role=_ROLES[self.role], content=joined or self.refusal or "")


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    held = unkeepable(schema)
    if held is not None:
        raise ValueError(f"must not hold {held}")
    if len(json.dumps(schema, ensure_ascii=False).encode(errors="replace")) > SCHEMA_BYTES:
        raise ValueError(f"must be at most {SCHEMA_BYTES} bytes")
    return schema


class NamedSchema(Nullable):
    """The JSON schema of an answer."""

    name: Annotated[str, StringConstraints(max_length=64)] = "reply"
    description: str | None = None
    strict: TrueOrFalse | None = None
    schema_: Annotated[dict[str, Any], AfterValidator(_bounded)] = Field(alias="schema")


class ResponseFormat(Nullable):
    """The form of an answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None

    @model_validator(mode="after")
    def _schema_given(self) -> "ResponseFormat":
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema belongs to the type json_schema")
        return self


class StreamOptions(Nullable):
    """The options of a stream."""

    include_usage: TrueOrFalse = False
    include_obfuscation: TrueOrFalse = False


Stop = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class ChatCompletionRequest(Nullable):
    """The body of `POST /chat/completions`; one answer at a time (`n` is 1), in text.

    `use_cache`: by default answers at temperature 0 are cached; true: all; false: none.
    """

    messages: Annotated[list[Message], Field(min_length=1, max_length=MESSAGES_LIMIT)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2), NUMBER] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1), NUMBER] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2), NUMBER] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2), NUMBER] | None = None
    seed: Annotated[int, Field(ge=-SEED_LIMIT, lt=SEED_LIMIT), WHOLE_NUMBER] | None = None
    stop: (
        Annotated[
            Annotated[Stop, Tag(_ONE)]
            | Annotated[list[Stop], Field(max_length=STOPS_LIMIT), Tag(_LIST)],
            _EITHER,
        ]
        | None
    ) = None
    max_tokens: Annotated[int, Field(ge=1, le=OUTPUT_LIMIT), WHOLE_NUMBER] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=OUTPUT_LIMIT), WHOLE_NUMBER] | None = None
    n: Literal[1] = 1
    stream: TrueOrFalse = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    user: Annotated[str, StringConstraints(max_length=256)] | None = None
    use_cache: TrueOrFalse | None = None
    # Fields that change no answer here.
    metadata: dict[str, Any] | None = None
    store: Literal[False] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    service_tier: Literal["auto", "default"] | None = None
    parallel_tool_calls: TrueOrFalse | None = None
    logprobs: Literal[False] | None = None
    top_logprobs: Literal[0] | None = None
    modalities: tuple[Literal["text"], ...] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    function_call: Literal["none", "auto"] | None = None
    tools: tuple[()] = ()
    functions: tuple[()] = ()
    reasoning_effort: Literal["none"] | None = None
    verbosity: Literal["medium"] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None

    def to_question(self, default_model: str) -> Question:
        """The question to the named model, or to `default_model`."""
        form = self.response_format
        named = None if form is None else form.json_schema
        stop = self.stop or ()
        return Question(
            model=self.model or default_model,
            messages=tuple(message.to_message() for message in self.messages),
            max_output_tokens=self.max_completion_tokens or self.max_tokens or OUTPUT_TOKENS,
            temperature=self.temperature,
            top_p=self.top_p,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            seed=self.seed,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            reply_schema=None if named is None else named.schema_,
            reply_json=form is not None and form.type == "json_object",
        )


class PromptTokens(Frozen):
    """Tokens of the prompt that the model's vendor had cached."""

    cached_tokens: int


class CompletionTokens(Frozen):
    """Tokens of the answer that went into reasoning."""

    reasoning_tokens: int


class Usage(Frozen):
    """Tokens as billed."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens
    completion_tokens_details: CompletionTokens


class AnswerMessage(Frozen):
    """What the assistant said."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: str | None


class Choice(Frozen):
    """The one answer, and how it ended."""

    index: Literal[0] = 0
    message: AnswerMessage
    finish_reason: str
    logprobs: None = None


class ChatCompletion(Frozen):
    """An answer in the form of the OpenAI API; `cached` and `cost_usd` come on top."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: tuple[Choice]
    usage: Usage
    cached: bool
    cost_usd: Dollars


def require_answer(answer: Answered) -> Answered:
    """The answer; raises the error of one that the API has no word for.

    One that was cut or blocked is an answer there: its `finish_reason` says so.
    """
    failure = answer.failure()
    if isinstance(failure, AnswerEmpty | AnswerFailed | AnswerUnusable):
        raise failure
    return answer


def completion(answer: Answered, *, name: str, created: int) -> ChatCompletion:
    """The answer as a chat completion called `name`, made at `created` (epoch seconds)."""
    message = AnswerMessage(content=answer.text, refusal=answer.refusal)
    return ChatCompletion(
        id=name,
        created=created,
        model=answer.model,
        choices=(Choice(message=message, finish_reason=answer.finish_reason or "stop"),),
        usage=usage(answer),
        cached=answer.cached,
        cost_usd=answer.cost_usd,
    )


def events(answer: Answered, *, name: str, created: int, with_usage: bool) -> Iterator[str]:
    """The answer as the server-sent events of a stream of chunks."""
    envelope = {
        "id": name,
        "object": "chat.completion.chunk",
        "created": created,
        "model": answer.model,
    }
    deltas: list[tuple[dict[str, Any], str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": answer.text}, None),
        ({}, answer.finish_reason or "stop"),
    ]
    if answer.refusal is not None:
        deltas.insert(2, ({"refusal": answer.refusal}, None))
    unsaid = {"usage": None} if with_usage else {}
    for delta, finish_reason in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        yield _event(envelope | {"choices": [choice]} | unsaid)
    if with_usage:
        beyond = {"cached": answer.cached, "cost_usd": f"{answer.cost_usd:f}"}
        yield _event(envelope | {"choices": [], "usage": usage(answer).model_dump()} | beyond)
    yield "data: [DONE]\n\n"


def usage(answer: Answered) -> Usage:
    """Tokens in the form of the OpenAI API."""
    tokens = answer.tokens
    return Usage(
        prompt_tokens=tokens.input,
        completion_tokens=tokens.output,
        total_tokens=tokens.total,
        prompt_tokens_details=PromptTokens(cached_tokens=tokens.cached_input),
        completion_tokens_details=CompletionTokens(reasoning_tokens=tokens.reasoning),
    )


def _event(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
