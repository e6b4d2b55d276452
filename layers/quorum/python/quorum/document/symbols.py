"""Unicode characters for the symbol fonts that come with Word. Pure."""

_WINGDINGS = {
    0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x76: "❖", 0xA7: "▪", 0xA8: "☐", 0xD8: "➢",
    0xE0: "→", 0xE8: "➔", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
}  # fmt: skip
_SYMBOL = (
    "ΑΒΧ∆ΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ",  # from 0x41
    "αβχδεφγηιϕκλμνοπθρστυϖωξψζ",  # from 0x61
)
_LETTERS = 26
_FIRST_LETTERS = (0x41, 0x61)
_PRIVATE = range(0xF000, 0xF100)
"""Code points at which Word places the characters of a symbol font."""
_ASCII = 0x7F
_BULLET = 0xB7
_FONTS = ("wingdings", "symbol")


def in_symbol_font(name: str) -> str | None:
    """The symbol font that a name belongs to; None for a font of letters."""
    plain = name.rpartition("+")[2].lower()
    return next((font for font in _FONTS if plain.startswith(font)), None)


def symbol(font: str, code: int) -> str:
    """The Unicode character for one of a symbol font; "" if there is none."""
    code -= _PRIVATE.start if code in _PRIVATE else 0
    known = in_symbol_font(font)
    if known is None:
        return chr(code) if code else ""
    if code == _BULLET:
        return "•"
    if known == "wingdings":
        return _WINGDINGS.get(code, "")
    for first, letters in zip(_FIRST_LETTERS, _SYMBOL, strict=True):
        if 0 <= code - first < _LETTERS:
            return letters[code - first]
    return chr(code) if code < _ASCII and chr(code).isprintable() else ""
