"""The container of functions that send to the queues of work or receive from them."""

from typing import TYPE_CHECKING

from quorum.app.container import Container
from quorum.batch.queue import ItemQueue

if TYPE_CHECKING:
    from quorum.app.settings import DeadLetterSettings


class QueueContainer(Container):
    """The members of functions that know a queue of work."""

    settings: "DeadLetterSettings"

    def queue(self, url: str) -> ItemQueue:
        """The queue at `url`, and the dead letters that all queues share."""
        return ItemQueue(
            self.sqs,
            url,
            self.settings.dead_letters,
            self.batches,
            starts=self.starts,
            max_receives=self.settings.max_receives,
            clock=self.clock,
        )
