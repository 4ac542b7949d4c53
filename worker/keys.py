"""Every Redis key of Narrows: type, unit and lifetime.

All but the dead letters start with ``narrows:`` and carry the hash tag ``{provider}``. Times are
integer milliseconds since the epoch on Redis's own clock. Expiry only collects garbage.

    key                             type    holds                                          lives
    narrows:{p}:breaker             hash    state, open_until, opened_at, failures,        for good
                                            window, successes
    narrows:{p}:limits              hash    tokens, at, cooldown_until, quota_used,        for good
                                            quota_until, refused_until, factor, …
                                            (see lua/limits.lua), of the first credential
    narrows:{p}:limits:<print>      hash    the same of a further credential               for good
    narrows:{p}:budget              hash    calls and retries of the last minute           a minute
    narrows:{p}:lot                 hash    who leaves next (see lua/lot.lua)              for good
    narrows:{p}:workers             zset    <worker>/<slots> -> until when                 5 s after a look
    narrows:{p}:leases              zset    call nonce -> lease end                        while calls run
    narrows:{p}:probes              zset    call nonce -> lease end, half-open only        while probes run
    narrows:{p}:call:<task id>      hash    one call's record (see worker/record.py)       until it ends
    narrows:{p}:queued              zset    task id -> when its message was published      while queued
    narrows:{p}:running             zset    task id -> end of its worker's lease           while running
    narrows:{p}:waiting             zset    task id -> when it may run again               while waiting
    narrows:{p}:parked              zset    task id -> place in line                       while parked
    narrows:{p}:slow                zset    task id -> when it may be tried again          while slow
    narrows:{p}:released            zset    task id -> when its turn came                  while under way
    narrows:{p}:submissions:<state> zset    submission id -> since when                    30 days after that
    narrows:{p}:submissions:open    zset    submission id -> when it was last asked about  until settled
    narrows:{p}:submissions:key:<print> string  the submission of an idempotency key       as its record
    narrows:{p}:submissions:spent:<print> string  how many of that key were called back    30 days
    narrows:{p}:batch:<uuid>        string  how many calls of a batch are enqueued         30 days
    narrows:{p}:polling             string  who asks about its open submissions just now   its lease
    narrows:{p}:round               string  since when they are asked about, in turn       until done, a day
    narrows:{p}:status              channel what changed of a submission, as JSON (see tasks/polling.py)
    narrows:{p}:replaying           string  who replays its dead letters just now          its lease
    narrows:{p}:exporting           string  who exports them                               its lease
    narrows:{p}:canary              hash    the letter replayed alone first (see           a day
                                            worker/letters/canary.py)
    narrows:{p}:flight:<print>      string  who asks this: a task id, a nonce, or landed   one call's lease
    narrows:{p}:cache:<print>       string  an answer (see worker/cache/), cache Redis     fresh + stale time
    narrows:{p}:token:<print>       string  an access token, sealed under its credential   as long as it
    narrows:{p}:token:<print>:asking  string  who asks for one just now                    its lease
    narrows:{p}:token:<print>:failed  string  why there is none, as JSON                   2 s, or as long as
                                                                                           its seller says
    narrows:{p}:token:<print>:anew  string  1: the last was refused, so this must hold     a minute, or the
                                                                                           token's life
    narrows:{p}:alone:<print>       string  the one call that may do this just now         its lease
    narrows:{p}:import:<print>      hash    how far one import is (see                     30 days after its
                                            worker/lua/import_enter.lua)                   last word
    narrows:{p}:import:<print>:rows zset    digest of its rows that later ones may meet    until it ends
                                            -> when the row changed
    narrows:{p}:imported:<print>    hash    what the imports of a data set into a sink     for good
                                            came to (see worker/lua/import_end.lua)
    narrows:{p}:imported:<print>:rows  zset  digest of rows that the next may meet again   for good
                                            -> when the row changed
    narrows:{p}:imported:<print>:by  string  the import that goes on from there just now   10 min after its
                                                                                           last word
    narrows:{p}:suppressed          zset    digest of a recipient -> since when            for good
    narrows:{p}:audit               stream  who did what to its dead letters, and which    the last 10,000
                                            arguments were there before an edit            or so
    narrows:{upkeep}:formats        hash    which versions write here (worker/formats.py)  for good
    narrows:{upkeep}:writable       string  1, to see that writing works                   one second
    dlq:<p>                         list    JSON dead letters, oldest first                until replayed
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

__all__ = ["FORMATS", "WRITABLE", "Keys", "digest", "keys"]

FORMATS = "narrows:{upkeep}:formats"
"""Which versions of Narrows have written here, and which may still run."""

WRITABLE = "narrows:{upkeep}:writable"
"""Written by the readiness check: a server that is full, read-only or cannot reach its disk refuses it."""


def digest(credential: str) -> str:
    """What stands for a credential where it is named; it tells nothing of a secret that nobody can guess."""
    return sha256(credential.encode()).hexdigest()[:12]


class Keys:
    """The keys of one provider, written out once."""

    __slots__ = (
        "_call",
        "_prefix",
        "audit",
        "breaker",
        "budget",
        "canary",
        "dlq",
        "exporting",
        "indexes",
        "leases",
        "limits",
        "lot",
        "parked",
        "polling",
        "probes",
        "queued",
        "released",
        "replaying",
        "round",
        "running",
        "slow",
        "status",
        "submissions",
        "suppressed",
        "waiting",
        "workers",
    )

    def __init__(self, provider: str) -> None:
        self._prefix = f"narrows:{{{provider}}}:"
        self.breaker = f"{self._prefix}breaker"
        self.limits = f"{self._prefix}limits"
        self.leases = f"{self._prefix}leases"
        self.probes = f"{self._prefix}probes"
        self.queued = f"{self._prefix}queued"
        self.running = f"{self._prefix}running"
        self.waiting = f"{self._prefix}waiting"
        self.parked = f"{self._prefix}parked"
        self.slow = f"{self._prefix}slow"
        self.released = f"{self._prefix}released"
        self.lot = f"{self._prefix}lot"
        self.workers = f"{self._prefix}workers"
        self.budget = f"{self._prefix}budget"
        self.submissions = f"{self._prefix}submissions"
        self.polling = f"{self._prefix}polling"
        self.round = f"{self._prefix}round"
        self.status = f"{self._prefix}status"
        self.replaying = f"{self._prefix}replaying"
        self.exporting = f"{self._prefix}exporting"
        self.canary = f"{self._prefix}canary"
        self.audit = f"{self._prefix}audit"
        self.suppressed = f"{self._prefix}suppressed"
        self.dlq = f"dlq:{provider}"
        self.indexes = (self.queued, self.running, self.waiting, self.parked, self.slow, self.released)
        self._call = f"{self._prefix}call:"

    def call(self, task_id: str) -> str:
        """The record of one call."""
        return self._call + task_id

    def limits_of(self, credentials: Sequence[str]) -> tuple[str, ...]:
        """The limits of each credential; the first one's are the provider's own."""
        return (self.limits, *(f"{self.limits}:{digest(secret)}" for secret in credentials[1:]))

    def batch(self, name: str) -> str:
        """How far one batch is enqueued."""
        return f"{self._prefix}batch:{name}"

    def flight(self, fingerprint: str) -> str:
        """Who asks this request just now."""
        return f"{self._prefix}flight:{fingerprint}"

    def token(self, name: str) -> str:
        """The access token that the credential of that *name* bought."""
        return f"{self._prefix}token:{name}"

    def alone(self, what: str) -> str:
        """Who does *what* just now, which one call of the fleet does at a time."""
        return f"{self._prefix}alone:{digest(what)}"

    def importing(self, import_id: str) -> str:
        """How far one import is."""
        return f"{self._prefix}import:{digest(import_id)}"

    def imported(self, target: str) -> str:
        """What the imports came to that write the same data to the same place."""
        return f"{self._prefix}imported:{digest(target)}"

    def cached(self, fingerprint: str) -> str:
        """The stored answer to this request."""
        return f"{self._prefix}cache:{fingerprint}"


@cache
def keys(provider: str) -> Keys:
    """The keys of *provider*."""
    return Keys(provider)
