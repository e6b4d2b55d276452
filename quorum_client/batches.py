"""A batch that was submitted: its progress, its results, its end."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

from quorum_client import routes
from quorum_client.results import BatchProgress, BatchResult

if TYPE_CHECKING:
    from quorum_client.client import AsyncQuorum, Quorum

Told = Callable[[BatchProgress], None]


class Batch:
    """A batch by its `id`; it goes on in the deployment, whether or not anybody waits."""

    def __init__(self, quorum: "Quorum", batch_id: str) -> None:
        self.id = batch_id
        self._quorum = quorum

    def progress(self) -> BatchProgress:
        """How far it has come, and the cost so far."""
        return self._quorum.run(routes.progress_of(self.id, self._quorum.retries))

    def wait(
        self, progress: Told | None = None, *, poll_seconds: float = routes.POLL_SECONDS
    ) -> BatchProgress:
        """Wait until it has ended; `progress` is called with each progress."""
        return self._quorum.run(routes.wait(self.id, progress, poll_seconds, self._quorum.retries))

    def results(self) -> Iterator[BatchResult]:
        """What is settled so far, in the order of the items."""
        start: int | None = 0
        gaps = not self.progress().whole
        while start is not None:
            page = routes.page(self.id, start, self._quorum.retries, gaps=gaps)
            found, start = self._quorum.run(page)
            yield from found

    def cancel(self) -> BatchProgress:
        """Cancel what has not begun."""
        return self._quorum.run(routes.progress_of(self.id, self._quorum.retries, "DELETE"))

    def redrive(self) -> None:
        """Try the items again that have no result (`dead`)."""
        self._quorum.run(routes.redrive(self.id, self._quorum.retries))


class AsyncBatch:
    """As `Batch`, with coroutines."""

    def __init__(self, quorum: "AsyncQuorum", batch_id: str) -> None:
        self.id = batch_id
        self._quorum = quorum

    async def progress(self) -> BatchProgress:
        """As `Batch.progress`."""
        return await self._quorum.run(routes.progress_of(self.id, self._quorum.retries))

    async def wait(
        self, progress: Told | None = None, *, poll_seconds: float = routes.POLL_SECONDS
    ) -> BatchProgress:
        """As `Batch.wait`."""
        return await self._quorum.run(
            routes.wait(self.id, progress, poll_seconds, self._quorum.retries)
        )

    async def results(self) -> AsyncIterator[BatchResult]:
        """As `Batch.results`."""
        start: int | None = 0
        gaps = not (await self.progress()).whole
        while start is not None:
            page = routes.page(self.id, start, self._quorum.retries, gaps=gaps)
            found, start = await self._quorum.run(page)
            for result in found:
                yield result

    async def cancel(self) -> BatchProgress:
        """As `Batch.cancel`."""
        return await self._quorum.run(routes.progress_of(self.id, self._quorum.retries, "DELETE"))

    async def redrive(self) -> None:
        """As `Batch.redrive`."""
        await self._quorum.run(routes.redrive(self.id, self._quorum.retries))
