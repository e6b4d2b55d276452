"""The error of `o200k_base`'s count, times a model's factor, against the vendor's count.

`python -m bench.token_error replies.jsonl`: one object a line, with `model`, `reply` and the
`completion_tokens` its vendor reported. The factor is fitted on the even lines and its error
measured on the odd ones. Every reply has two tokens more than its text (they are OpenAI's end of
message, and are seen with every vendor), which are taken off first.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles

from quorum.gateway import tokenizer

WIRE_TOKENS = 2
LEAST_REPLIES = 50


def main(path: Path) -> None:
    """Print one line per model."""
    counted: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        reported = row.get("completion_tokens") or 0
        if row["reply"].strip() and reported > WIRE_TOKENS:
            ours = tokenizer.count_text(row["reply"])
            counted[row["model"]].append((ours, reported - WIRE_TOKENS))
    print(f"{'model':44} {'replies':>7} {'factor':>7} {'p50':>7} {'p90':>7} {'in sum':>7}")
    for model, pairs in sorted(counted.items()):
        if len(pairs) < LEAST_REPLIES:
            continue
        learned, held_out = pairs[::2], pairs[1::2]
        factor = median(theirs / ours for ours, theirs in learned)
        errors = [abs(ours * factor - theirs) / theirs for ours, theirs in held_out]
        ninth = quantiles(errors, n=10)[-1]
        whole = factor * sum(ours for ours, _ in held_out) / sum(theirs for _, theirs in held_out)
        print(
            f"{model:44} {len(pairs):7} {factor:7.3f} {median(errors):7.1%} {ninth:7.1%}"
            f" {whole - 1:+7.1%}"
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 one argument
        raise SystemExit("python -m bench.token_error replies.jsonl")
    main(Path(sys.argv[1]))
