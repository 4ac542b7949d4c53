"""Dead letters: what they are, how they are kept, looked through, changed, replayed and exported."""
