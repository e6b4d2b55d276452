"""The sampling parameters of a call. Pure."""

from pydantic import Field

from quorum.core.models import Frozen


class Sampling(Frozen):
    """Sampling parameters under the OpenAI API's names; None leaves one to the model."""

    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    stop: tuple[str, ...] = ()
    seed: int | None = None
