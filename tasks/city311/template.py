"""A new city's file, with a comment on each key."""

from __future__ import annotations

import json

__all__ = ["template"]

_TEXT = """\
# {name}: its 311, as Narrows asks it. docs/cities.md explains every key.
# The key to it does not belong here: NARROWS_PROVIDERS__{slug_upper}311__API_KEY (or …__API_KEY_FILE).

name = {name_text}
base_url = {base_url}  # where the paths below begin
zone = "America/New_York"  # times without an offset are of this zone
rate = 5.0  # calls per second, over the whole fleet
burst = 5
# daily_quota = 10000

# What a service request must fit; what is left out is not checked.
agencies = []  # ["BTD", "PWD"]
boroughs = []
zips = []  # ["02108-02137", "02163"]

# [area]  # a box of degrees that holds the whole city
# south = 42.22
# west = -71.20
# north = 42.40
# east = -70.92

[auth]  # where the key goes: a header, or query = "api_key"
header = "X-Api-Key"

[submit]
path = "/service-requests"
# What is done when nobody knows whether a request arrived:
#   "never"       a person decides (narrows submission)
#   "idempotent"  it is sent again: the city takes each value of idempotency_header only once
#   "verify"      the city is asked by our own id, which lies in the field correlation; see [find]
resend = "never"
# idempotency_header = "Idempotency-Key"
# correlation = "correlationId"
# verify_after = 60.0  # seconds until it is asked; what was under way has arrived by then, and can be found

[submit.fields]  # our field = theirs; dots lead deeper
agency = "agency"
complaint_type = "complaintType"
descriptor = "descriptor"
description = "description"
"location.address" = "location.address"
"location.borough" = "location.borough"
"location.zip" = "location.zip"
"location.latitude" = "location.latitude"
"location.longitude" = "location.longitude"
"contact.name" = "contact.name"
"contact.phone" = "contact.phone"
"contact.email" = "contact.email"
anonymous = "anonymous"
observed_at = "observedAt"

# [submit.constants]  # what every request says besides
# source = "narrows"

[check]  # how one is looked at; {{id}} is the city's number
path = "/service-requests/{{id}}"
# params = {{ number = "{{id}}" }}
# within = "requests"  # where its answer holds the entry, or a list of entries

# [find]  # for resend = "verify": how one is looked for; {{id}} is our own id
# path = "/service-requests"
# params = {{ correlationId = "{{id}}" }}

[answer]  # where its answers say what
external_id = "trackingNumber"
external_status = "status"
agency = "agency"
updated_at = "updatedAt"

[statuses]  # theirs = a word; others stay as they are. Those of `closed` are not asked about any more
"open" = "open"
"in progress" = "in_progress"
"closed" = "closed"
"cancelled" = "cancelled"
"""


def template(slug: str, name: str, base_url: str) -> str:
    """The text of ``<slug>.toml``."""
    return _TEXT.format(
        name=" ".join(name.split()),
        name_text=json.dumps(name, ensure_ascii=False),
        slug_upper=slug.upper(),
        base_url=json.dumps(base_url, ensure_ascii=False),
    )
