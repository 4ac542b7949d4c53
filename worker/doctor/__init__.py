"""Whether this deployment is well: what ``narrows doctor``, probes and every start look at."""
