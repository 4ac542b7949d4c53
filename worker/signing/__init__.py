"""Messages that say who sent them, and are refused when they do not."""
