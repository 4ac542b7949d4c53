"""Several texts in one setting."""

from __future__ import annotations

import json

__all__ = ["listed"]


def listed(given: str) -> tuple[str, ...]:
    """The texts in a JSON list, or in a text that has a comma or a line break between two of them.

    Raises:
        ValueError: It is none; holds no part of it, for it may be secret.
    """
    texts: object = given.replace("\n", ",").split(",")
    if given.lstrip().startswith("["):
        try:
            texts = json.loads(given)
        except ValueError:
            texts = None
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        # Raised out here: the decoder's own error holds the text.
        raise ValueError("must be a JSON list of texts, or texts with commas between them")
    return tuple(one.strip() for one in texts if one.strip())
