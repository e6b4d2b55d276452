"""Many texts at once: the results in the order of the texts, whichever is ready first."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import Generic, TypeVar

from quorum_client.report import Count, Judged, Progress, Report

VerdictT = TypeVar("VerdictT", bound=Judged)

CONCURRENCY = 8
"""Texts judged at once."""

_LOGGER = logging.getLogger("quorum_client")


@dataclass(frozen=True, slots=True)
class Result(Generic[VerdictT]):
    """One text's result: its `index`, and its verdict or the error for which it has none."""

    index: int
    verdict: VerdictT | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Many(Generic[VerdictT]):
    """The results in the order of the texts, one for each, and the report."""

    results: Sequence[Result[VerdictT]]
    report: Report

    def __iter__(self) -> Iterator[Result[VerdictT]]:
        """The results."""
        return iter(self.results)

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.results)

    @property
    def verdicts(self) -> list[VerdictT | None]:
        """The verdicts in the order of the texts; None where there is an error."""
        return [result.verdict for result in self.results]


class Run(Generic[VerdictT]):
    """One run over many texts: what is next, what came of each, and whether to go on.

    Only errors of the type `failure` belong to a text. One that is `final` would meet every other
    text too, so the texts after it are not asked about and have the same error.
    """

    def __init__(
        self,
        texts: Iterable[str],
        *,
        failure: type[Exception],
        final: Callable[[Exception], bool] = lambda _: False,
        progress: Callable[[Progress], None] | None = None,
        alert_usd: Decimal | None = None,
    ) -> None:
        require_several(texts)
        total = len(texts) if isinstance(texts, Sequence) else None
        self._texts = enumerate(texts)
        self._failure = failure
        self._final = final
        self._progress = progress
        self._count = Count(total, alert_usd)
        self._results: dict[int, Result[VerdictT]] = {}
        self._lock = Lock()
        self._ended_by: Exception | None = None
        self._stopped = False

    def in_threads(self, judge: Callable[[str], VerdictT], concurrency: int) -> Many[VerdictT]:
        """Judge the texts in `concurrency` threads."""

        def work() -> None:
            try:
                while (following := self._following()) is not None:
                    index, text = following
                    try:
                        self._done(Result(index, judge(text)))
                    except self._failure as error:
                        self._done(Result(index, error=error))
            except BaseException:
                self._stopped = True
                raise

        with ThreadPoolExecutor(_at_least_one(concurrency)) as pool:
            workers = [pool.submit(work) for _ in range(concurrency)]
            try:
                for worker in workers:
                    worker.result()
            finally:  # Ctrl-C too: what is being judged is waited for, and nothing else begins
                self._stopped = True
        return self._many()

    async def in_tasks(
        self, judge: Callable[[str], Awaitable[VerdictT]], concurrency: int
    ) -> Many[VerdictT]:
        """Judge the texts in `concurrency` tasks."""

        async def work() -> None:
            while (following := self._following()) is not None:
                index, text = following
                try:
                    self._done(Result(index, await judge(text)))
                except self._failure as error:
                    self._done(Result(index, error=error))

        workers = [asyncio.create_task(work()) for _ in range(_at_least_one(concurrency))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return self._many()

    def _following(self) -> tuple[int, str] | None:
        """The next text and its index; None if nothing more is to be judged."""
        with self._lock:
            while not self._stopped:
                following = next(self._texts, None)
                if following is None or self._ended_by is None:
                    return following
                self._counted(Result(following[0], error=self._ended_by))
        return None

    def _done(self, result: Result[VerdictT]) -> None:
        with self._lock:
            if result.error is not None and self._final(result.error):
                self._ended_by = result.error
            self._counted(result)

    def _counted(self, result: Result[VerdictT]) -> None:
        self._results[result.index] = result
        before = self._count.alerted
        if result.verdict is not None:
            self._count.judged(result.verdict)
        else:
            self._count.failed(str(getattr(result.error, "code", type(result.error).__name__)))
        so_far = self._count.progress()
        if self._count.alerted and not before:
            _LOGGER.warning("the texts judged so far have cost $%s", f"{so_far.cost_usd:f}")
        if self._progress is not None:
            self._progress(so_far)

    def _many(self) -> Many[VerdictT]:
        results = tuple(self._results[index] for index in sorted(self._results))
        return Many(results, self._count.report())


def require_several(texts: Iterable[object]) -> None:
    """Raise `TypeError` for a single text, whose letters would each be judged, and paid."""
    if isinstance(texts, str):
        raise TypeError("this is one text and not several: put it into a list")


def _at_least_one(concurrency: int) -> int:
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, not {concurrency}")
    return concurrency
