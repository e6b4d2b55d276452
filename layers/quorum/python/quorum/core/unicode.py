"""Unicode as it can be stored and sent. Pure."""


def without_surrogates(text: str) -> str:
    """`text` with half a surrogate pair as U+FFFD, and both halves of one as their character.

    A JSON string may hold half a pair; UTF-8, in which everything is stored and sent, may not.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")
