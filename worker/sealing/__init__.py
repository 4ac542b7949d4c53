"""Arguments at rest: sealed in messages, records, letters and wherever else they lie."""
