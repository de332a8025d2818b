"""Cuts a text into sentences and tokens, in any script."""

import re
import unicodedata
from dataclasses import dataclass

MAX_ANALYSED = 20_000
"""Characters of an idea that are read; three pages have about 8,000."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it was written, and its words and commas in lower case."""

    text: str
    tokens: tuple[str, ...]


def cleaned(text: str) -> str:
    """``text`` without what no document may hold: surrogates, controls, hidden directions."""
    kept = (
        " " if c in "\r\t\u2028\u2029\x0b\x0c" else c
        for c in unicodedata.normalize("NFC", text)
        if c in "\n\t\r\u2028\u2029\u200c\u200d" or unicodedata.category(c) not in _HIDDEN
    )
    return "".join(kept).strip()


def one_line(text: str, limit: int) -> str:
    """``text`` on one line, cut between words at ``limit`` characters."""
    line = " ".join(cleaned(text).split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    return f"{cut[: cut.rfind(' ')] if cut.rfind(' ') > limit // 2 else cut}…"


def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences of ``text``; markup, addresses and code are not words."""
    bare = _NOT_PROSE.sub(" ", cleaned(text)[:MAX_ANALYSED])
    parts = _SENTENCE_END.split(bare)
    read = [Sentence(" ".join(part.split()), tuple(_tokens(part))) for part in parts]
    return tuple(sentence for sentence in read if sentence.tokens)


_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_HINDI_JOINTS = {"aur": "and", "और": "and", "या": "or", "evam": "and", "तथा": "and", "एवं": "and"}
_NOT_PROSE = re.compile(r"<[^<>]{0,200}>|https?://\S{1,500}|\S{1,64}@\S{1,255}|[`*_#~|]+|--+")
_SENTENCE_END = re.compile(
    r"(?<=[a-z0-9)\"'”’])[.!?]+(?:\s+|$)|[!?;।॥。\n•●▪]+|\.\s+|\s[-–—]\s|\.$"
)
_PUNCTUATION = {
    ",": ",",
    "،": ",",
    "、": ",",
    "&": "and",
    "+": "and",
    "/": "or",
    "(": "(",
    ")": ")",
    ":": ":",
    "=": "=",
    "[": "(",
    "]": ")",
}


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    word = ""
    for character in [*text, " "]:
        if _in_word(character, word):
            word += character
            continue
        if word:
            tokens.extend(_finished(word))
            word = ""
        if character in _PUNCTUATION:
            tokens.append(_PUNCTUATION[character])
    return tokens


def _in_word(character: str, word: str) -> bool:
    if unicodedata.category(character)[0] in "LMN":
        return True
    return bool(word) and character in "'’-\u200c\u200d"


def _finished(word: str) -> list[str]:
    bare = word.strip("'’-").lower().replace("’", "'")
    if bare in _HINDI_JOINTS:
        return [_HINDI_JOINTS[bare]]
    # A possessive parts into the owner and a mark, which tells a relation.
    if bare.endswith("'s"):
        return [bare[:-2], "'s"]
    return [bare] if bare else []
