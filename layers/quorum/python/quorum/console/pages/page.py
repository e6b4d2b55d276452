"""A page: its address, the scopes of which it needs one, and what shows it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quorum.console.answers import Answer

if TYPE_CHECKING:
    from quorum.core.scopes import Scope


@dataclass(frozen=True, slots=True)
class Page:
    """A page or a form's target. `{name}` in its path is a part that varies."""

    method: str
    path: str
    needs: "tuple[Scope, ...]"
    show: Callable[..., Answer]
    in_navigation: bool = False

    @property
    def pattern(self) -> str:
        """The path as a regular expression with named groups."""
        return re.sub(r"{([a-z_]+)}", r"(?P<\1>[A-Za-z0-9_.-]{1,128})", self.path)
