"""NYC 311: service requests to the City of New York.

Docs     https://api-portal.nyc.gov/  (the City's API management: contract "apim")
         the handbook's own interface is published nowhere; it is what our users have: contract "handbook"
Limits   a daily quota for each key, unpublished; 10 calls a second and 100,000 a day are the handbook's
Quirks   a created request is answered 201 with a trackingNumber (handbook) or 200 with an SRNumber (apim);
         no idempotency key, so one that may have arrived is never sent again; a new number is found after a
         while; statuses are numbers; two error envelopes; a bad date is answered 500; lists come in another
         order, without what is unknown
Unverified  the handbook's interface as a whole; a create by apim, which was never recorded; the words of a
         429 and of a spent quota (403), which are Azure's usual ones
Read on  2026-11-21, from the answers recorded in July 2022
"""

from __future__ import annotations

from tasks.city311 import Area, Base311Adapter, City, Lookup, city_tasks
from worker.provider import Auth, Quota, Rate

__all__ = ["APIM", "HANDBOOK", "NYC", "PROVIDER", "check_service_request", "submit_service_request"]

NYC = City(
    name="New York City",
    zone="America/New_York",
    agencies=(
        "3-1-1", "ACS", "BIC", "DCA", "DCWP", "DEP", "DFTA", "DHS", "DOB", "DOE", "DOF", "DOHMH", "DOITT",
        "DORIS", "DOT", "DPR", "DSNY", "EDC", "FDNY", "HPD", "HRA", "MTA", "NYCEM", "NYCHA", "NYPD", "OSE",
        "OTI", "TLC",
    ),
    boroughs=("MANHATTAN", "BRONX", "BROOKLYN", "QUEENS", "STATEN ISLAND"),
    zips=(
        "10001-10292", "10301-10314", "10451-10475", "11001", "11004-11005", "11040", "11101-11120",
        "11201-11256", "11351-11499", "11690-11697",
    ),
    area=Area(south=40.477, west=-74.26, north=40.918, east=-73.7),
)  # fmt: skip

HANDBOOK = Base311Adapter(
    city=NYC,
    contract="handbook",
    base_url="https://api.nyc.gov/311/v1",
    auth=Auth(header="X-Api-Key"),
    submit_path="/service-requests",
    check=Lookup(path="/service-requests/{id}"),
    field_map={
        "agency": "agency",
        "complaint_type": "complaintType",
        "descriptor": "descriptor",
        "description": "description",
        "location.address": "location.address",
        "location.borough": "location.borough",
        "location.zip": "location.zip",
        "location.latitude": "location.latitude",
        "location.longitude": "location.longitude",
        "contact.name": "contact.name",
        "contact.phone": "contact.phone",
        "contact.email": "contact.email",
        "anonymous": "anonymous",
        "observed_at": "observedAt",
    },
    answer_map={
        "external_id": "trackingNumber",
        "external_status": "status",
        "agency": "agency",
        "updated_at": "updatedAt",
    },
    statuses={
        "open": "open",
        "pending": "open",
        "assigned": "open",
        "in progress": "in_progress",
        "in_progress": "in_progress",
        "closed": "closed",
        "cancelled": "cancelled",
        "canceled": "cancelled",
    },
)

APIM = Base311Adapter(
    city=NYC,
    contract="apim",
    base_url="https://api.nyc.gov",
    auth=Auth(header="Ocp-Apim-Subscription-Key"),
    submit_path="/create-sr/api/CreateServiceRequest",
    check=Lookup(path="/public/api/GetServiceRequest", params={"srnumber": "{id}"}),
    field_map={
        "agency": "agency",
        "complaint_type": "problem",
        "descriptor": "problemDetails",
        "description": "additionalDetails",
        "location.full_address": "fullAddress",
        "location.borough": "siteBorough",
        "location.coordinates": "locationDetails",
        "contact.name": "contact.name",
        "contact.phone": "contact.phone",
        "contact.email": "contact.email",
        "anonymous": "anonymousRequired",
        "observed_at": "dateTimeObserved",
    },
    answer_map={
        "external_id": "SRNumber",
        "external_status": "Status",
        "agency": "Agency",
        "updated_at": "ResolutionActionUpdatedDate",
    },
    flags=("No", "Yes"),
    zoneless=True,
    statuses={
        "614110000": "cancelled",
        "614110001": "open",
        "614110002": "in_progress",
        "614110003": "closed",
    },
)

_TASKS = city_tasks("nyc311", HANDBOOK, APIM, rate=Rate(calls=10.0, burst=10), quota=Quota(limit=100_000))

PROVIDER = _TASKS.provider
submit_service_request = _TASKS.submit_service_request
check_service_request = _TASKS.check_service_request
