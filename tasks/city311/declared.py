"""A city's provider and its tasks, made from its adapters."""

# No postponed annotations here: the tasks' own are made for each city, and read when one is called.

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tasks.apim import DAY, WAITS
from tasks.city311 import steps
from tasks.city311.adapter import Base311Adapter
from tasks.city311.doubt import resending
from tasks.city311.envelopes import judge
from tasks.city311.payload import ExternalId, payload_of
from worker.errors import ResourceMissing
from worker.operation import Steps, operation
from worker.provider import Breaker, Provider, Quota, Rate, Retry
from worker.submissions.submission import Accepted, IdempotencyKey, Submits
from worker.task import GuardedTask

__all__ = ["CityTasks", "city_tasks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CityTasks:
    """What a city can be asked."""

    provider: Provider
    submit_service_request: GuardedTask
    check_service_request: GuardedTask


def city_tasks(
    name: str,
    *adapters: Base311Adapter,
    rate: Rate,
    quota: Quota | None = None,
    submits: Submits | None = None,
) -> CityTasks:
    """The provider *name* and its tasks. The first adapter speaks unless ``…__CONTRACT`` names another.

    Args:
        name: The provider's, ``nyc311``.
        adapters: Of one city.
        rate: For all of them.
        quota: The same.
        submits: What is done when nobody knows whether a request arrived; a person decides without it.
    """
    provider = _provider(name, adapters, rate, quota)
    spoken = partial(_spoken, name, {each.contract: each for each in adapters}, adapters[0])
    payload_type = payload_of(adapters[0].city)
    submits = submits or resending(adapters[0])

    @operation(provider, submission=submits)
    def submit_service_request(
        payload: payload_type,  # type: ignore[valid-type]
        idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - the engine's
    ) -> Steps[Accepted]:
        """Report a problem to the city: ``{"submission_id", "external_id", "external_status", "agency", …}``.

        It reaches the city once, or a person hears of it. The same key again is the same submission.
        """
        return (yield from steps.submit(spoken(), payload))

    @operation(provider, shown=("external_id",))
    def check_service_request(external_id: ExternalId) -> Steps[dict[str, Any] | None]:
        """How it stands: ``{"external_id", "external_status", "agency", "closed", "updated_at"}``.

        None when the city does not know it, or not yet: new numbers are found after a while.
        """
        try:
            return (yield from steps.check(spoken(), external_id))
        except ResourceMissing:
            return None

    return CityTasks(
        provider=provider,
        submit_service_request=submit_service_request,
        check_service_request=check_service_request,
    )


def _provider(name: str, adapters: tuple[Base311Adapter, ...], rate: Rate, quota: Quota | None) -> Provider:
    def speaking(adapter: Base311Adapter, contracts: Mapping[str, Provider]) -> Provider:
        return Provider(
            name=name,
            base_url=adapter.base_url,
            rate=rate,
            quota=quota,
            breaker=Breaker(failures=None, ratio=0.5, window=20, reset_after=60.0),
            retry=Retry(attempts=10, within=300.0, first=2.0, most=60.0),
            auth=adapter.auth,
            cooldown=30.0,
            max_cooldown=DAY,
            too_long="wait",  # a report is of use tomorrow too
            judge=judge,
            waits=WAITS,
            contract=adapter.contract,
            contracts=contracts,
        )

    first, *others = adapters
    return speaking(first, {each.contract: speaking(each, {}) for each in others})


def _spoken(name: str, adapters: Mapping[str, Base311Adapter], first: Base311Adapter) -> Base311Adapter:
    """The adapter that the deployment chose."""
    if len(adapters) == 1:
        return first
    from worker.engine import engine

    settings = engine().settings.providers.get(name)
    return adapters.get(settings.contract or "", first) if settings else first
