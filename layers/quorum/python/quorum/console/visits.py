"""One visit: a request, who sent it, and what an answer to it is made with."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import ValidationError

from quorum.console.answers import Answer, redirect
from quorum.console.shortcuts import USUAL
from quorum.console.words import named, text_of
from quorum.core.errors import InvalidRequest
from quorum.core.models import Frozen
from quorum.core.rejection import rejection

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from quorum.app.console import ConsoleContainer
    from quorum.aws.keys import Caller
    from quorum.aws.sessions import Session
    from quorum.console.browser import BrowserRequest
    from quorum.console.rendering import Rendering
    from quorum.console.words import Language
    from quorum.core.scopes import Scope

M = TypeVar("M", bound=Frozen)


class NavigationEntry(NamedTuple):
    """A page in the navigation: its path, its words, and the scopes of which it needs one."""

    path: str
    word: str
    needs: "tuple[Scope, ...]"


class Look(NamedTuple):
    """How a browser wants its pages, and its letters of shortcuts (or `off`)."""

    language: "Language" = "en"
    theme: str = "auto"
    shortcuts: str = USUAL


class Visit(NamedTuple):
    """A request with its session, None before signing in, and the means to answer it."""

    app: "ConsoleContainer"
    request: "BrowserRequest"
    rendering: "Rendering"
    navigation: tuple[NavigationEntry, ...]
    look: Look
    context: "LambdaContext"
    session: "Session | None" = None

    @property
    def signed_in(self) -> "Session":
        """The session of a page that needs one."""
        if self.session is None:
            raise RuntimeError("a page was shown without a session")
        return self.session

    @property
    def caller(self) -> "Caller":
        """The owner of the session's key."""
        return self.signed_in.key.caller

    @property
    def tenant(self) -> str:
        """The tenant of the session's key."""
        return self.caller.tenant

    def word(self, key: str, **values: object) -> str:
        """A text in the language of this visit."""
        return text_of(self.look.language, key, **values)

    def age(self, since: datetime) -> str:
        """How long ago that was, in minutes, hours or days."""
        minutes = max(0, int(self.app.clock() - since.timestamp()) // 60)
        for unit, size in (("days", 2 * 24 * 60), ("hours", 2 * 60)):
            if minutes >= size:
                return self.word(f"age.{unit}", count=minutes // (size // 2))
        return self.word("age.minutes", count=minutes)

    def may(self, needs: "tuple[Scope, ...]") -> bool:
        """Whether the session's key has one of the scopes."""
        return bool(set(self.signed_in.key.effective_scopes) & set(needs))

    def read(self, model: type[M], fields: Mapping[str, Any]) -> M:
        """Fields of a form or an address as a model; raises `InvalidRequest`."""
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            told = rejection(error)
            raise InvalidRequest(
                told.message, code=told.code, field=told.field, limit=told.limit
            ) from None

    def day(self, name: str) -> date | None:
        """A day in the address; raises `InvalidRequest`."""
        given = self.request.asked.get(name)
        try:
            return date.fromisoformat(given) if given else None
        except ValueError:
            raise InvalidRequest(
                f"{name}: must be a day, such as 2026-11-27", code="invalid_day", field=name
            ) from None

    def page(self, template: str, **values: object) -> Answer:
        """A template as the answer."""
        session = self.session
        entries = [one for one in self.navigation if session is not None and self.may(one.needs)]
        common: dict[str, object] = {
            "t": partial(text_of, self.look.language),
            "named": partial(named, self.look.language),
            "url": self.request.url,
            "file": lambda name: self.request.url(self.rendering.file_path(name)),
            "look": self.look,
            "path": self.request.path,
            "session": session,
            "navigation": entries,
            "age": self.age,
            "now": datetime.fromtimestamp(self.app.clock(), UTC),
        }
        body = self.rendering.page(template, common | values)
        return Answer(HTTPStatus.OK, body)

    def go(self, path: str, **query: str | None) -> Answer:
        """Another page of the console as the answer."""
        return redirect(self.request.url(path, **query))
