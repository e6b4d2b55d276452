"""Numbers of list items, in letters, Roman and other formats. Pure."""

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
    (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_ROMAN_LIMIT = 4_000
_SYLLABLES = "가나다라마바사아자차카타파하"
_CONSONANTS = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"
_CHINESE = "〇一二三四五六七八九"
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
_TEN = 10


def in_letters(number: int) -> str:
    """A number in letters as in HTML: 1 → a, 26 → z, 27 → aa."""
    letters = ""
    while number > 0:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("a") + digit) + letters
    return letters or str(number)


def in_roman(number: int) -> str:
    """A number in Roman numerals: 4 → iv; digits if it has no Roman form."""
    if not 0 < number < _ROMAN_LIMIT:
        return str(number)
    written = ""
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        written += letters * count
    return written


def in_format(number: int, form: str) -> str:
    """A number in one of WordprocessingML's formats (ST_NumberFormat); digits for a rare one."""
    match form:
        case "lowerLetter" | "upperLetter":
            # Word writes 27 as aa, 28 as bb.
            letter = chr(ord("a") + (number - 1) % 26) * (1 + (number - 1) // 26)
            shown = letter if 0 < number <= 26 * _TEN else str(number)
        case "lowerRoman" | "upperRoman":
            shown = in_roman(number)
        case "decimalZero":
            shown = f"{number:02}"
        case "ganada":
            shown = _picked(_SYLLABLES, number)
        case "chosung":
            shown = _picked(_CONSONANTS, number)
        case "decimalEnclosedCircle" | "decimalEnclosedCircleChinese":
            shown = _picked(_CIRCLED, number)
        case (
            "chineseCounting"
            | "chineseCountingThousand"
            | "japaneseCounting"
            | "ideographDigital"
            | "taiwaneseCountingThousand"
            | "koreanDigital2"
        ):
            shown = _in_chinese(number)
        case "none":
            shown = ""
        case _:
            shown = str(number)
    return shown.upper() if form.startswith("upper") else shown


def _picked(characters: str, number: int) -> str:
    return characters[number - 1] if 0 < number <= len(characters) else str(number)


def _in_chinese(number: int) -> str:
    """A number below a hundred in Chinese numerals."""
    tens, ones = divmod(number, _TEN)
    if not 0 < number < _TEN * _TEN:
        return str(number)
    if not tens:
        return _CHINESE[ones]
    return ("" if tens == 1 else _CHINESE[tens]) + "十" + (_CHINESE[ones] if ones else "")
