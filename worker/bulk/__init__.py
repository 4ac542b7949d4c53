"""Many calls enqueued at once."""
