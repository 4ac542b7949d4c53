"""One exchange with a provider over HTTP: from a request to an answer or a typed error."""
