"""English word forms by rule: plurals, participles and articles."""

import re

from adapters.offline.english.words import IRREGULAR_PLURALS, PREPOSITION_OF_VERB, word_set

_PLURALS = {singular: plural for plural, singular in IRREGULAR_PLURALS.items()}
_UNCHANGED = word_set(
    """
    staff series species sheep fish equipment aircraft data clothes
    """
)


def plural(name: str) -> str:
    """The plural of a singular name, case kept: ``Lab Test`` gives ``Lab Tests``."""
    head, _, last = name.rpartition(" ")
    return f"{head} {_plural_word(last)}" if head else _plural_word(last)


def singular(word: str) -> str:
    """The singular of a lower-case word that may be a plural."""
    if word in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[word]
    if word in _PLURALS or len(word) < 4 or not word.isascii():
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if re.search(r"(ss|sh|ch|x|zz)es$", word):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def is_plural(word: str) -> bool:
    """Whether a lower-case word looks like a plural."""
    return singular(word) != word


def participle(verb: str) -> str:
    """The past participle of a verb in its base form: ``borrow`` gives ``borrowed``."""
    if verb in _PARTICIPLES:
        return _PARTICIPLES[verb]
    if verb.endswith("e"):
        return f"{verb}d"
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ied"
    if _doubles(verb):
        return f"{verb}{verb[-1]}ed"
    return f"{verb}ed"


def third_person(verb: str) -> str:
    """The form after ``she``: ``carry`` gives ``carries``."""
    if verb == "have":
        return "has"
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ies"
    return f"{verb}es" if re.search(r"(s|sh|ch|x|z|o)$", verb) else f"{verb}s"


def doing(verb: str, thing: str) -> str:
    """A verb with what it is done to: ``apply for a job``."""
    return _with_object(_WRITTEN_APART.get(verb, verb), verb, thing)


def does(verb: str, thing: str) -> str:
    """The same after ``she``: ``applies for a job``."""
    first, _, rest = _WRITTEN_APART.get(verb, verb).partition(" ")
    return _with_object(f"{third_person(first)} {rest}".strip(), verb, thing)


def _with_object(written: str, verb: str, thing: str) -> str:
    preposition = PREPOSITION_OF_VERB.get(verb)
    return f"{written} {preposition} {thing}" if preposition else f"{written} {thing}"


_WRITTEN_APART = {"signup": "sign up", "checkin": "check in", "checkout": "check out"}


def base_form(word: str, verbs: frozenset[str]) -> str:
    """The verb of ``verbs`` that ``word`` is a form of; empty when there is none."""
    if word in verbs:
        return word
    stems = []
    if word.endswith("ies"):
        stems.append(f"{word[:-3]}y")
    if word.endswith("es"):
        stems.append(word[:-2])
    if word.endswith("s") and not word.endswith("ss"):
        stems.append(word[:-1])
    if word.endswith("ied"):
        stems.append(f"{word[:-3]}y")
    for ending in ("ed", "ing"):
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            stems += [stem, f"{stem}e"]
            if len(stem) > 2 and stem[-1] == stem[-2]:
                stems.append(stem[:-1])
    stems += [base for base, form in _PARTICIPLES.items() if form == word]
    return next((stem for stem in stems if stem in verbs), "")


def with_article(name: str) -> str:
    """``name`` in lower case after ``a`` or ``an``."""
    lower = in_sentence(name)
    vowel = re.match(r"(?i)(?!uni|use|usa|euro|one|u[^aeiou\W]?t)[aeiou]|hour|honest|x-ray", lower)
    return f"{'an' if vowel else 'a'} {lower}"


def in_sentence(name: str) -> str:
    """``name`` as it stands inside a sentence: lower case but for its acronyms."""
    return " ".join(word if _acronym(word) else word.lower() for word in name.split())


def title_case(words: str) -> str:
    """Words as a name: each begins with a capital, acronyms stay."""
    return " ".join(_titled(word) for word in words.split())


def joined(names: list[str]) -> str:
    """Names as a list in a sentence: ``a, b and c``."""
    return (
        names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
    )


def _titled(word: str) -> str:
    if _acronym(word):
        return word
    # A figure before a letter is a measure or a model: 3D, 5G.
    return word.upper() if re.fullmatch(r"\d+[a-z]", word) else word[:1].upper() + word[1:].lower()


def _acronym(word: str) -> bool:
    return len(word) > 1 and word.isupper() and word.isascii()


def _plural_word(word: str) -> str:
    lower = word.lower()
    if lower in _UNCHANGED or not word.isascii():
        return word
    if lower in _PLURALS:
        return word[:1] + _PLURALS[lower][1:]
    if re.search(r"[^aeiou]y$", lower):
        return f"{word[:-1]}ies"
    if re.search(r"(s|sh|ch|x|z)$", lower):
        return f"{word}es"
    return f"{word}s"


def _doubles(verb: str) -> bool:
    if verb in ("enrol", "refer", "transfer", "allot", "submit", "admit", "permit", "fulfil"):
        return True
    return len(verb) <= 4 and re.search(r"[^aeiou][aeiou][bdgklmnprt]$", verb) is not None


_PARTICIPLES = {
    "buy": "bought", "sell": "sold", "pay": "paid", "give": "given", "take": "taken",
    "write": "written", "read": "read", "make": "made", "send": "sent", "keep": "kept",
    "hold": "held", "lend": "lent", "find": "found", "teach": "taught", "grow": "grown",
    "feed": "fed", "meet": "met", "run": "run", "bring": "brought", "choose": "chosen",
    "repay": "repaid", "oversee": "overseen", "withdraw": "withdrawn", "show": "shown",
    "cancel": "cancelled", "open": "opened", "enter": "entered", "offer": "offered",
    "have": "had", "spend": "spent", "stick": "stuck", "seek": "sought",
}  # fmt: skip
