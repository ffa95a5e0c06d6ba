"""Text from outside inside Markdown: addresses, file names, error messages, records and logs are shown as they are.

Streamlit reads Markdown in messages, captions, labels, help and toasts: a picture in it is loaded by every browser that
sees it. Whatever was not written in this program passes through `escape_markdown` on its way there.
"""

import re

WORD_JOINER = "\N{WORD JOINER}"  # has no width
# What has a meaning anywhere in a line, and what has one at its beginning only.
PUNCTUATION = re.compile(r"[\\`*_\[\]<~$|#]|&(?=[#\w])|^[-+>]")
LIST_NUMBER = re.compile(r"^(\d+)(?=[.)])")
# Streamlit replaces these in the finished text, where a backslash has no effect: arrows and signs such as -> and >=,
# :names: of emoji, icons and colors, and what looks like an address.
REPLACED = re.compile(r"(?<=[-<>~])(?=[-<>=])|(?<=:)(?=[\w/+-])|(?<=\bwww)(?=\.)|(?<=@)(?=\w)", re.IGNORECASE)


def escape_markdown(text: object) -> str:
    """`str(text)` as Markdown that shows exactly these words, in one line; control characters become spaces.

    Between two characters that Streamlit would replace together stands an invisible word joiner.
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in str(text))
    line = " ".join(printable.split())
    joined = REPLACED.sub(WORD_JOINER, LIST_NUMBER.sub(rf"\1{WORD_JOINER}", line))
    return PUNCTUATION.sub(r"\\\g<0>", joined)
