"""Pictures for the documents, drawn from what really happened."""
