"""Whatever callers and providers say: a result or an error of ours, and a worker that lives."""
