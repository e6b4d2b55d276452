"""The container of the function that estimates documents."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.container import Container
from quorum.app.keys import KeyLimitsContainer
from quorum.aws.bucket import Bucket
from quorum.document.estimates import Estimates
from quorum.document.learning import Learned

if TYPE_CHECKING:
    from quorum.app.settings import EstimateSettings


class EstimateContainer(Container, KeyLimitsContainer):
    """The members of the function that estimates."""

    settings: "EstimateSettings"

    @cached_property
    def estimates(self) -> Estimates:
        """The reading and counting of documents, without asking about them."""
        settings = self.settings
        return Estimates(
            Bucket(self.s3, settings.uploads_bucket),
            Learned(self.dynamodb, settings.usage_table),
            self.limiter,
            default_model=settings.default_model,
            krw_per_usd=settings.krw_per_usd,
            krw_as_of=settings.krw_as_of,
        )
