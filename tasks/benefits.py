"""NYC Benefits Platform: for which programs a household may be eligible.

Docs     https://screeningapidocs.cityofnewyork.us (contract "published"; to try things out, set BASE_URL to
         https://sandbox.screeningapi.cityofnewyork.us)
         our handbook's interface is published nowhere, and stays selectable: contract "handbook"
Limits   none published; 5 calls a second are the handbook's
Quirks   user name and password buy a token for an hour, which stands in its header without "Bearer"; a first
         login has to set a new password, which is done by hand; the body is a list of one; money is text; a
         rules engine that takes too long is answered 504, and may be asked again; nothing that says who
         somebody is may be told. No argument is ever shown; NARROWS_SEALED_TASKS=benefits.* has them sealed
         also where they lie in Redis, while a call waits and in its dead letter
Unverified  401 and 403 for a token that has ended (neither they nor 429 are documented); all answers: none
         was recorded, there are the owner's examples; /oauth/token and /screen, which only our handbook knows
Read on  2026-11-21
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from tasks.arguments import several
from tasks.benefits_household import AHousehold, People, document
from tasks.benefits_programs import Program, Screening, screening
from tasks.benefits_terms import PROGRAM, YES_OR_NO, maybe
from worker.auth.pieces import ClientCredentials, Login
from worker.choice import choice
from worker.operation import Steps, operation
from worker.provider import Breaker, Provider, Rate, Signs
from worker.request import Request

__all__ = ["PROVIDER", "Program", "Screening", "screen_household"]

PATHS = {"published": "/eligibilityPrograms", "handbook": "/screen"}

PUBLISHED = Provider(
    name="benefits",
    contract="published",
    base_url="https://screeningapi.cityofnewyork.us",
    rate=Rate(calls=5.0, burst=5),
    breaker=Breaker(failures=None, ratio=0.5, window=20),
    auth=Login(url="/authToken"),
    judge=Signs(
        at="errors.code",
        codes={
            "notFound": "rejected",
            "httpMethodNotAllowed": "rejected",
            "unsupportedContentType": "rejected",
            "internalServerError": "unavailable",
            "gatewayTimeout": "unavailable",
        },
    ),
)
HANDBOOK = replace(PUBLISHED, contract="handbook", auth=ClientCredentials(url="/oauth/token"))
PROVIDER = replace(PUBLISHED, contracts={"handbook": HANDBOOK})

Codes = Annotated[list[Annotated[str, PROGRAM]] | None, maybe(several(100, example="S2R010"))]


@operation(PROVIDER)
def screen_household(
    household: AHousehold,
    persons: People,
    interested_programs: Codes = None,
    withhold_payload: Annotated[bool, YES_OR_NO] = True,  # noqa: FBT002 - may be given by place
) -> Steps[Screening]:
    """What a household of 1 to 8 *persons* may be eligible for, of *interested_programs* or of all.

    With *withhold_payload* the City keeps nothing of it. For the fields see :mod:`tasks.benefits_household`.
    """
    told = document(household, persons, withhold=withhold_payload)
    answer = yield request(choice(PROVIDER).contract, told, interested_programs or ())
    return screening(answer)


def request(contract: str, told: Any, programs: Any = ()) -> Request:
    """What is asked. It changes nothing, so it may be asked again."""
    params = {"interestedPrograms": "|".join(dict.fromkeys(programs))} if programs else {}
    return Request(
        path=PATHS[contract], method="POST", params=params, data=told, label="screening", pure=True
    )
