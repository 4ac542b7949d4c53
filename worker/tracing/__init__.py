"""One trace for each call, from its producer to its outcome."""
