"""Errors in logs: what is kept of them, and that content is not."""

import io
import json
import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict
from quorum.aws import redaction
from quorum.aws.redaction import keep_content_out_of_logs, redacted
from quorum.core.errors import ModelTimedOut, StoreUnavailable

CONTENT = "MARKED-CONTENT"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    number: int
    text: str = ""


class Kept(BaseModel):
    text: str


class Quoting(Exception):
    """As many libraries have one: it quotes what it was given."""


def nested_json() -> None:
    json.loads(f'{{"{CONTENT}": ' + "[" * 100_000)


def json_with_rest() -> None:
    json.loads(f'{{"a": 1}} {CONTENT}')


def wrong_type() -> None:
    Strict.model_validate({"number": CONTENT})


def lone_surrogate() -> None:
    Kept(text=f"{CONTENT}\ud800").model_dump_json()


def lone_surrogate_to_bytes() -> None:
    f"{CONTENT}\ud800".encode()


def key_of_a_caller() -> None:
    dict[str, int]()[CONTENT]


def foreign() -> None:
    raise Quoting(CONTENT)


def caused_by_content() -> None:
    try:
        foreign()
    except Quoting as error:
        raise StoreUnavailable("a row could not be written") from error


def while_handling_content() -> None:
    try:
        foreign()
    except Quoting:
        raise RuntimeError(CONTENT)  # noqa: B904 - the context is what is tested


def in_a_group() -> None:
    raise ExceptionGroup(CONTENT, [Quoting(CONTENT), ExceptionGroup(CONTENT, [OSError(CONTENT)])])


def with_a_note() -> None:
    error = ModelTimedOut("no answer in time")
    error.add_note(CONTENT)
    raise error


def of_aws() -> None:
    raise ClientError({"Error": {"Code": "ValidationException", "Message": CONTENT}}, "PutItem")


RAISES = [
    nested_json,
    json_with_rest,
    wrong_type,
    lone_surrogate,
    lone_surrogate_to_bytes,
    key_of_a_caller,
    foreign,
    caused_by_content,
    while_handling_content,
    in_a_group,
    with_a_note,
    of_aws,
]


class Logs(NamedTuple):
    """Two loggers and what they write: Powertools' own, and one of a library."""

    powertools: Logger
    standard: logging.Logger
    stream: io.StringIO

    @property
    def written(self) -> str:
        return self.stream.getvalue()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Logs]:
    factory = logging.getLogRecordFactory()
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    keep_content_out_of_logs()
    stream = io.StringIO()
    plain = logging.StreamHandler(stream)
    root = logging.getLogger()
    root.addHandler(plain)
    yield Logs(Logger(service=f"redaction-{uuid4()}", stream=stream), root, stream)
    root.removeHandler(plain)
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize("fails", RAISES, ids=lambda one: one.__name__)
def test_no_logger_and_no_formatter_writes_content_that_an_error_quotes(
    logs: Logs, fails: Callable[[], None]
) -> None:
    error = raised_by(fails)
    for one in (logs.powertools, logs.standard):
        one.error("failed", exc_info=error)
        one.error("failed with %s and %r", error, error)
        one.error("failed with %(it)s", {"it": error})
        one.error(error)
    assert logs.written.count(type(error).__name__) >= 2
    assert CONTENT not in logs.written


def raised_by(fails: Callable[[], Any]) -> Exception:
    try:
        fails()
    except Exception as error:  # noqa: BLE001 - whichever it is
        return error
    raise AssertionError("it fails")


@pytest.mark.parametrize("fails", RAISES, ids=lambda one: one.__name__)
def test_a_stand_in_names_the_kind_of_the_error_and_prints_no_content(
    fails: Callable[[], None],
) -> None:
    error = raised_by(fails)
    stand_in = redacted(error)
    assert type(stand_in).__name__ == type(error).__name__
    shown = "".join(printed(stand_in))
    assert CONTENT not in shown
    assert CONTENT not in repr(stand_in)


def printed(error: BaseException) -> Iterator[str]:
    yield from traceback.format_exception(error)


def test_our_own_message_is_kept_and_its_cause_is_named(logs: Logs) -> None:
    try:
        caused_by_content()
    except StoreUnavailable:
        logs.standard.exception("failed")
    assert "a row could not be written" in logs.written
    assert "Quoting" in logs.written


def test_the_code_of_an_aws_error_and_the_kinds_in_a_group_are_kept() -> None:
    with pytest.raises(ClientError) as raised:
        of_aws()
    assert str(redacted(raised.value)).startswith("ValidationException")
    with pytest.raises(ExceptionGroup) as group:
        in_a_group()
    assert str(redacted(group.value)) == "2 errors: Quoting, ExceptionGroup"


def test_a_stand_in_says_where_in_our_own_code_the_error_passed() -> None:
    nothing: Any = None
    shown = "".join(printed(redacted(raised_by(lambda: redacted(nothing)))))
    assert "aws/redaction.py" in shown
    assert "in quorum.aws.redaction._message, line" in shown
    assert "test_redaction.py" not in shown


def test_runaway_recursion_and_endless_chains_stay_short() -> None:
    error: BaseException = Quoting(CONTENT)
    for _ in range(1_000):
        following = Quoting(CONTENT)
        following.__cause__ = error
        error = following
    assert len("".join(printed(redacted(error)))) < 5_000


def test_a_warning_names_its_kind_and_place_only(logs: Logs) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        redaction.keep_content_out_of_logs()
        content: Any = [CONTENT]
        Kept.model_construct(text=content).model_dump_json()
    assert "UserWarning at " in logs.written
    assert CONTENT not in logs.written
