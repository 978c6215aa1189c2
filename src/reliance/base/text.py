"""What text may be a name or a prompt: one line that a table, a page and a tokenizer can hold, as written."""

import unicodedata

NAME_LIMIT = 1000  # characters; CLIP reads at most 77 tokens, and its tokenizer is slow on long words
ONE_LINE = f"one line of at most {NAME_LIMIT} characters, without control characters"


def unfit(name: str) -> str:
    """Why a text cannot be the name of a class or a prompt, or nothing: it is one line of text."""
    if len(name) > NAME_LIMIT:
        return f"{len(name)} characters"
    strange = next((c for c in name if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")), None)
    return f"the control character U+{ord(strange):04X}" if strange else ""


def refuse_truth(entry: object) -> object:
    """A class as somebody wrote it; ValueError for what YAML made of a bare yes, no, 1.5 or 2020-01-01."""
    if isinstance(entry, bool):
        words = "yes, on or true" if entry else "no, off or false"
        raise ValueError(f'a name or an id, found {entry}: YAML reads {words} so, put the name in "quotes"')
    if not isinstance(entry, int | str):
        raise ValueError(f'a name or an id, found {entry!s:.100}: put the name in "quotes"')
    return entry
