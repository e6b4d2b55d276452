"""The panels of a deployment: the packaged ones, overridden by SSM parameters.

The panel called `<name>` is, for a tenant, the first of these that exists::

    /<stack>/tenants/<tenant>/panels/<name>     the tenant's own
    /<stack>/panels/<name>                      the deployment's
    the packaged one

and a shadow, if there is one, is tallied beside it and only recorded: the tenant's own
(`/<stack>/tenants/<tenant>/shadow/<name>`), else the deployment's (`/<stack>/shadow/<name>`).

A parameter holds one panel's JSON; only a shadow may have a name of its own. A read parameter, or
its absence, is remembered for a minute. A bad panel is refused and the last good one stays: that of
this process, else the youngest good version of the parameter in its history, else the next in the
order above. When SSM does not answer, known panels stay; where none is known, the request fails,
because the intended panel cannot be guessed.

Powertools' `parameters` is not used here: it does not remember that a parameter is absent, forgets
values when SSM fails, and does not return a parameter's version.
"""

import re
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import lru_cache
from inspect import getdoc
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import GetJsonSchemaHandler, TypeAdapter, ValidationError, model_serializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from quorum.aws.faults import AWS_ERRORS, unavailable
from quorum.core.errors import PanelInvalid, StoreUnavailable
from quorum.core.models import Frozen
from quorum.vote import panel, telemetry
from quorum.vote.panel import Panel
from quorum.vote.policy import Policy
from quorum.vote.policy_reading import is_calibrated

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

RETRY_SECONDS = 5.0
"""Seconds after a failure of SSM before it is asked again."""
LOOK_BACK = 10
"""Versions of a parameter that are searched for a good one."""
KNOWN_PARAMETERS = 2048
"""Parameters that are remembered at a time."""

Source = Literal["tenant", "deployment", "packaged"]

_PANEL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PARAMETER_NAME = re.compile(r"(?:/[A-Za-z0-9_.-]+){1,15}")


class PanelView(Frozen):
    """A panel as it is shown: its document without defaults, its version and its source.

    `calibrated` says of a calibrated panel whether it was calibrated under the tenant's `default`
    policy.
    """

    panel: Panel
    source: Source
    calibrated: bool | None = None

    @classmethod
    def of(cls, effective: "Effective", policy: Policy) -> "PanelView":
        """The view of the panel that judges under a name, for a tenant that `policy` judges."""
        panel_ = effective.panel
        return cls(panel=panel_, source=effective.source, calibrated=is_calibrated(panel_, policy))

    @model_serializer
    def shown(self) -> dict[str, Any]:
        """The panel's own fields, and two or three more."""
        calibrated = {} if self.calibrated is None else {"calibrated": self.calibrated}
        facts = {"version": self.panel.version, "source": self.source}
        return self.panel.document() | facts | calibrated

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of what is shown."""
        of_panel = handler.resolve_ref_schema(handler(Panel.__pydantic_core_schema__))
        of_source = handler(TypeAdapter(Source).core_schema)
        return of_panel | {
            "title": "PanelView",
            "description": getdoc(cls),
            "properties": of_panel["properties"]
            | {
                "version": {"type": "string"},
                "source": of_source,
                "calibrated": {"type": "boolean"},
            },
            "required": [*of_panel["required"], "version", "source"],
        }


class Effective(NamedTuple):
    """The panel that judges under a name, and its source."""

    panel: Panel
    source: Source


def parameter_name(stack: str, name: str, *, tenant: str | None = None) -> str:
    """The SSM parameter that overrides the panel called `name`; `stack` begins with a slash."""
    return f"{stack}/panels/{name}" if tenant is None else f"{stack}/tenants/{tenant}/panels/{name}"


def shadow_parameter_name(stack: str, name: str, *, tenant: str | None = None) -> str:
    """The SSM parameter of the panel that is tallied beside the one called `name`."""
    return f"{stack}/shadow/{name}" if tenant is None else f"{stack}/tenants/{tenant}/shadow/{name}"


def may_be_parameter(parameter: str) -> bool:
    """Whether SSM takes the name: some names of tenants no parameter can have."""
    return _PARAMETER_NAME.fullmatch(parameter) is not None


class Panels:
    """The panels of the deployment whose parameters are under `path`, read again after `seconds`.

    `voters` names the models that may be voters, those put as data among them.

    Threads may share it. Raises `StoreUnavailable` if a parameter could never be read.
    """

    def __init__(
        self,
        ssm: "SSMClient",
        path: str,
        *,
        seconds: float,
        clock: Callable[[], float] = monotonic,
        voters: Callable[[], Collection[str]] | None = None,
    ) -> None:
        self._ssm = ssm
        self._path = path
        self._parameter = lru_cache(KNOWN_PARAMETERS)(
            lambda name, called: _Parameter(ssm, name, called, voters, seconds=seconds, clock=clock)
        )

    def get(self, tenant: str, name: str) -> Panel:
        """The panel called `name`, as `tenant` has it; raises `PanelInvalid` if there is none."""
        return self.effective(tenant, name).panel

    def effective(self, tenant: str, name: str) -> Effective:
        """The panel and its source; raises as `get`."""
        own = self._override(parameter_name(self._path, name, tenant=tenant), name)
        if own is not None:
            return Effective(own, "tenant")
        common = self._override(parameter_name(self._path, name), name)
        if common is not None:
            return Effective(common, "deployment")
        if name in panel.PACKAGED:
            return Effective(panel.packaged(name), "packaged")
        raise PanelInvalid(
            f"there is no panel {name!r}; packaged: {', '.join(panel.PACKAGED)}", path="panel"
        )

    def in_force(self, tenant: str, default: str) -> tuple[Panel, ...]:
        """The panel called `default`, and every panel of a packaged name that was overridden.

        A panel of another name judges only where a request names it. Raises as `get`.
        """
        found = {default: self.effective(tenant, default)}
        found |= {name: self.effective(tenant, name) for name in panel.PACKAGED if name != default}
        return tuple(
            one.panel for name, one in found.items() if name == default or one.source != "packaged"
        )

    def shadow_of(self, tenant: str, name: str) -> Panel | None:
        """The panel that is tallied beside the one called `name`; None where there is none."""
        own = self._read(shadow_parameter_name(self._path, name, tenant=tenant), name, None)
        return own or self._read(shadow_parameter_name(self._path, name), name, None)

    def using(self, voter: str) -> tuple[str, ...]:
        """The parameters below the deployment's path whose panel, or shadow, has `voter`.

        Raises `StoreUnavailable`.
        """
        found = (
            name
            for folder in ("panels", "tenants", "shadow")
            for name, text in self._parameters(folder)
            if _has_voter(text, voter)
        )
        return tuple(sorted(found))

    def names(self, tenant: str) -> tuple[str, ...]:
        """The names of all panels that `tenant` may use; raises `StoreUnavailable`."""
        folders = ["panels"]
        if may_be_parameter(parameter_name(self._path, "any", tenant=tenant)):
            folders.append(f"tenants/{tenant}/panels")
        found = (name for folder in folders for name, _ in self._parameters(folder))
        return tuple(dict.fromkeys((*panel.PACKAGED, *(name.rsplit("/")[-1] for name in found))))

    def _parameters(self, folder: str) -> list[tuple[str, str]]:
        """The parameters in a folder below the deployment's path: name below it, and text."""
        with unavailable("the panels could not be read"):
            pages = self._ssm.get_paginator("get_parameters_by_path").paginate(
                Path=f"{self._path}/{folder}", Recursive=True
            )
            return [
                (one["Name"].removeprefix(f"{self._path}/"), one["Value"])
                for page in pages
                for one in page["Parameters"]
            ]

    def _override(self, parameter: str, name: str) -> Panel | None:
        return self._read(parameter, name, name)

    def _read(self, parameter: str, name: str, called: str | None) -> Panel | None:
        # A name that no parameter can have overrides nothing (and ":" would pick a version).
        if not (_PANEL_NAME.fullmatch(name) and may_be_parameter(parameter)):
            return None
        return self._parameter(parameter, called).panel()


def _has_voter(text: str, voter: str) -> bool:
    """Whether the panel in `text` asks `voter`; a text that is no panel asks nobody."""
    try:
        return voter in Panel.model_validate_json(text).voters
    except ValidationError:
        return False


class _Good(NamedTuple):
    """A panel and the text it was loaded from."""

    text: str
    panel: Panel


class _Parameter:
    """One parameter, as last read. Its panel must be `called` so; a shadow may have any name."""

    def __init__(
        self,
        ssm: "SSMClient",
        name: str,
        called: str | None,
        voters: Callable[[], Collection[str]] | None,
        *,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._ssm = ssm
        self._name = name
        self._called = called
        self._voters = voters
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._due_at = clock()
        self._ever_read = False
        self._good: _Good | None = None

    def panel(self) -> Panel | None:
        """The last good panel in this parameter; None where there is none."""
        with self._lock:
            if self._clock() >= self._due_at:
                self._read()
            if not self._ever_read:
                raise StoreUnavailable(f"the parameter {self._name} cannot be read")
            return None if self._good is None else self._good.panel

    def _read(self) -> None:
        try:
            self._good = self._last_good()
        except (*AWS_ERRORS, StoreUnavailable) as error:
            telemetry.panel_unread(self._name, type(error).__name__)
            self._due_at = self._clock() + RETRY_SECONDS
        else:
            self._ever_read = True
            self._due_at = self._clock() + self._seconds

    def _last_good(self) -> _Good | None:
        found = self._version()
        if found is None:
            return None
        text, version = found
        if self._good is not None and self._good.text == text:
            return self._good
        try:
            return self._load(text)
        except PanelInvalid as refusal:
            telemetry.panel_refused(self._name, version, refusal.path, refusal.message)
            return self._good or self._earlier(version)

    def _earlier(self, version: int) -> _Good | None:
        """The youngest good panel before `version`; SSM keeps a hundred versions."""
        for number in range(version - 1, max(version - 1 - LOOK_BACK, 0), -1):
            found = self._version(number)
            if found is not None:
                with suppress(PanelInvalid):
                    return self._load(found[0])
        return None

    def _version(self, number: int | None = None) -> tuple[str, int] | None:
        """Text and version of the parameter, the latest by default; None where there is none."""
        name = self._name if number is None else f"{self._name}:{number}"
        try:
            found = self._ssm.get_parameter(Name=name)["Parameter"]
        except (
            self._ssm.exceptions.ParameterNotFound,
            self._ssm.exceptions.ParameterVersionNotFound,
        ):
            return None
        return found["Value"], found["Version"]

    def _load(self, text: str) -> _Good:
        """The panel in `text`; raises `PanelInvalid`."""
        loaded = panel.load(text, voters=None if self._voters is None else self._voters())
        if self._called is not None and loaded.name != self._called:
            raise PanelInvalid(
                f"is {loaded.name!r}, but the parameter is {self._called!r}'s", path="name"
            )
        return _Good(text, loaded)
