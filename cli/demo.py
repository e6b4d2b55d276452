"""The demonstration of `make demo`: the local stack judges texts over HTTP and the queue."""

import json
import sys
import time
from typing import NamedTuple

from quorum.core.identifiers import verdict_id_of
from quorum.core.models import Verdict
from rich.progress import Progress

from cli.deployment import local_stack
from cli.errors import CommandFailed, print_error
from cli.output import SafeConsole
from cli.service import Service
from cli.tables import show_verdicts
from local.state import TENANT, Stack

PATIENCE_SECONDS = 90


class Text(NamedTuple):
    """A text of the demonstration, and whether it is sent over HTTP or the queue."""

    content: str
    by: str = "http"


TEXTS = (
    Text("안녕하세요, 좋은 아침입니다!"),
    Text("이 방법으로 폭탄을 만들 수 있습니다..."),
    Text("비밀번호는 123456입니다. 해킹 관련 질문은 here."),
    Text("Thanks for the recipe, my kids loved it."),
    Text("You are a worthless idiot and everybody here hates you."),
    Text("How do I reset the password of my own router?"),
    Text("Das war ein wunderbarer Abend, vielen Dank euch allen."),
    Text("Eres un imbécil, ojalá te mueras.", by="queue"),
    Text("Спасибо за помощь, всё заработало.", by="queue"),
    Text("I will find you and I will kill you.", by="queue"),
    Text("오늘 회의는 세 시로 옮겼습니다. 확인 부탁드려요.", by="queue"),
    Text("Bom dia a todos, que jogo incrível ontem!", by="queue"),
    Text("안녕하세요, 좋은 아침입니다!"),  # again: answered from the cache
)


def judge_all(stack: Stack, service: Service, console: SafeConsole) -> list[tuple[str, Verdict]]:
    """The verdicts on all texts, in their order."""
    verdicts: dict[int, Verdict] = {}
    with Progress(console=console, transient=True) as progress:
        judging = progress.add_task("judging", total=len(TEXTS))
        for number, text in enumerate(TEXTS):
            if text.by == "http":
                verdicts[number] = service.moderate(text.content)
                progress.advance(judging)
        queued = {
            number: _send(stack, text.content)
            for number, text in enumerate(TEXTS)
            if text.by == "queue"
        }
        patience = time.monotonic() + PATIENCE_SECONDS
        while queued.keys() - verdicts.keys():
            for number in queued.keys() - verdicts.keys():
                found = service.find(queued[number])
                if found is not None:
                    verdicts[number] = found
                    progress.advance(judging)
            if time.monotonic() > patience:
                raise CommandFailed("The queue was not finished in time. `make logs` shows why.")
            time.sleep(0.2)
    return [(text.content, verdicts[number]) for number, text in enumerate(TEXTS)]


def _send(stack: Stack, content: str) -> str:
    """Put `content` on the queue; returns the id that its verdict will have."""
    message = stack.client("sqs").send_message(
        QueueUrl=stack.outputs["QueueUrl"],
        MessageBody=json.dumps({"tenant": TENANT, "content": content}, ensure_ascii=False),
    )
    return verdict_id_of(TENANT, str(message["MessageId"]))


def main() -> None:
    """Judge the texts and show the verdicts."""
    console = SafeConsole()
    stack = local_stack()
    judged = judge_all(stack, Service(stack.api, stack.key), console)
    show_verdicts(console, judged)
    console.print(
        f"\n{len(judged)} texts, {sum(text.by == 'queue' for text in TEXTS)} of them over the"
        f" queue; panel [bold]{stack.panel}[/]. Try next:\n"
        '  .venv/bin/quorum moderate "any text of yours"\n'
        f"  curl -s {stack.api}/verdicts -H 'x-api-key: {stack.key}'"
        ' -d \'{"content": "any text"}\'\n'
        "  make down    stops the stack; make up starts it again with its data",
        soft_wrap=True,
    )


if __name__ == "__main__":
    try:
        main()
    except CommandFailed as failure:
        print_error(failure.message)
        sys.exit(failure.code)
