"""Credentials and access tokens: what goes along with a request, bought once for the fleet."""
