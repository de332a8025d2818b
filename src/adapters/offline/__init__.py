"""Artifacts composed from the idea by rules, without a language model.

How it works, in the order of the packages:

* ``english`` cuts a text into sentences and knows word forms; ``lexicon`` is data (TOML):
  some 150 things, people and records with their fields, the verbs that join two of them,
  and some 50 lines of work with what each usually needs, with Hindi and Hinglish names.
* ``reading`` finds in each sentence who does what to which things, which facts are listed,
  and what belongs to what; it weighs the candidates and keeps two to eight entities. An
  idea that names little is filled from its line of work, one that names nothing from its
  most frequent words.
* ``brief`` says what was understood. ``behaviours`` derives from the brief alone what the
  system does (keep, list, relate, move through states, mark what is late, keep within a
  number, take from stock, refuse collisions, …). ``requirements`` and ``product`` put that
  into words, ``codebase`` into code and tests: since all are made from one list, none
  promises what another lacks.
* ``templates`` are the files of the application. Words of the idea enter them only as
  literals and docstrings written by ``codebase.python_source``, so that no idea, however
  hostile, can become code.

The same inputs give the same bytes; nothing is random and no network is used.

Its limits: it reads English forms of sentences, not their meaning. Nouns outside the
lexicon get a name and a description; grammar of other languages is not read, only known
words of Hindi. The code has no signing in, no payments and no messages; what the idea
mentions of that is listed as out of scope. It cannot repair: a failing check of composed
code is a mistake in the rules, which would be made again.
"""

from adapters.offline.language_model import OfflineLanguageModel

__all__ = ["OfflineLanguageModel"]
