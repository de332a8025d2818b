"""Makes names for code out of names for people: ASCII, unreserved, unlike one another.

``Lab Test`` gives the class ``LabTest``, the module ``lab_test`` and the path
``lab-tests``. A script that is not Latin is transliterated by the Unicode names of its
letters, so that मरीज gives ``mriij`` rather than nothing.
"""

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterable

from adapters.offline.english.words import word_set

MAX_LENGTH = 32

_FRAMEWORK = word_set(
    """
    Text LongText Email Integer Decimal Boolean Date Choice Reference References Field Invalid
    Entity Workflow Schema Record Query Storage Session Records Rule Change Unique Deadline
    FollowsWorkflow NotBefore Capacity TakesStock NoOverlap Problems ApplicationTest
    """
)
_RESERVED_CLASSES = _FRAMEWORK | frozenset(dir(builtins)) | frozenset(keyword.kwlist)
_RESERVED_COLUMNS = word_set(
    """
    id created_at updated_at overdue expired q sort limit offset page self path no_such_field
    class_ values entity
    """
)
_RESERVED_PATHS = word_set(
    """
    api health static new edit delete move index
    """
)
# Windows keeps these names for devices, whatever their extension.
_DEVICES = word_set(
    """
    con prn aux nul clock conin conout
    """
) | frozenset(f"{port}{number}" for port in ("com", "lpt") for number in range(10))


def words_of(text: str) -> list[str]:
    """The lower-case ASCII words in ``text``, transliterated; empty when there are none."""
    return re.findall(r"[a-z0-9]+", transliterated(text).lower())


def class_name(text: str, taken: Iterable[str] = ()) -> str:
    """A class's name for the entity called ``text``."""
    words = words_of(text) or ["record"]
    name = _cut("".join(word.capitalize() for word in words))
    if not name[0].isalpha():
        name = f"Entity{name}"
    if name in _RESERVED_CLASSES:
        name = f"{name}Record"
    return _unlike(name, taken, "")


def module_name(text: str, taken: Iterable[str] = ()) -> str:
    """A module's name for the entity called ``text``."""
    name = _cut("_".join(words_of(text)) or "record")
    if not name[0].isalpha():
        name = f"entity_{name}"
    if keyword.iskeyword(name) or name in _DEVICES or name in keyword.softkwlist:
        name = f"{name}_record"
    return _unlike(name, taken, "_")


def path_name(text: str, taken: Iterable[str] = ()) -> str:
    """What stands in addresses for the entity whose plural is ``text``."""
    name = _cut("-".join(words_of(text)) or "records")
    if name in _RESERVED_PATHS or name.isdecimal():
        name = f"{name}-records"
    return _unlike(name, taken, "-")


def column_name(text: str, taken: Iterable[str] = ()) -> str:
    """A column's and JSON key's name for the field called ``text``."""
    name = _cut("_".join(words_of(text)) or "value")
    if not name[0].isalpha():
        name = f"field_{name}"
    if keyword.iskeyword(name) or name in _RESERVED_COLUMNS:
        name = f"{name}_value"
    return _unlike(name, taken, "_")


def transliterated(text: str) -> str:
    """``text`` in ASCII letters, digits and spaces, as near to its sound as Unicode tells."""
    written: list[str] = []
    for character in unicodedata.normalize("NFKD", text):
        if character.isascii():
            written.append(character if character.isalnum() else " ")
        elif unicodedata.category(character)[0] in "LMN":
            written.append(_sound(character))
        elif not unicodedata.category(character).startswith("C"):
            written.append(" ")
    return "".join(written)


_SOUND = re.compile(r"(?:LETTER|VOWEL SIGN|SYLLABLE|LIGATURE|DIGIT)(?: \w+)* (\w+)$")
_MARKS = {"ANUSVARA": "n", "CANDRABINDU": "n", "VISARGA": "h"}


def _sound(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    name = unicodedata.name(character, "")
    for mark, sound in _MARKS.items():
        if name.endswith(mark):
            return sound
    if unicodedata.category(character).startswith("M") and "VOWEL SIGN" not in name:
        return ""
    match = _SOUND.search(name)
    if match is None:
        return f"u{ord(character):x}"
    sound = match[1].lower()
    # Indic consonants are named with their inherent vowel, KA; a full word keeps too many.
    return sound[:-1] if "LETTER" in name and re.fullmatch(r"[^aeiou]+a", sound) else sound


def _cut(name: str) -> str:
    return name[:MAX_LENGTH].rstrip("_-")


def _unlike(name: str, taken: Iterable[str], separator: str) -> str:
    """``name``, numbered when it is taken. Case does not tell names apart: file systems differ."""
    known = {other.lower() for other in taken}
    candidate, number = name, 2
    while candidate.lower() in known:
        candidate = f"{name}{separator}{number}"
        number += 1
    return candidate
