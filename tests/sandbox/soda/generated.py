"""Rows of our own, the same for the same seed and day, with the traps of the real ones.

For each lot of ``lots.LOTS``: DOB violations under every padding of the lot, dates
as text and some of them garbage, some without a BIN; HPD violations with unpadded
numbers; 311 requests up to the given day, some closed before they were made due,
some with neither BBL nor BIN; permits of which some have no bbl, with dates in two
shapes. Beside them the records that belong to nobody. Names of persons are withheld.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from tests.sandbox.soda.datasets import DATASETS, DOB_VIOLATIONS, HPD_VIOLATIONS, PERMITS, SERVICE_REQUESTS
from tests.sandbox.soda.lots import BUSY_BBL, LOTS, Lot

__all__ = ["BUSY_BBL", "LOTS", "generated_rows", "service_requests"]

Row = dict[str, Any]

_BUSY_ROWS = 1203
_DOB_KINDS = (
    ("LL6291", "LL6291-LOCAL LAW 62/91 - BOILERS"),
    ("E", "E-ELEVATOR"),
    ("C", "C-CONSTRUCTION"),
    ("AEUHAZ1", "AEUHAZ1-FAIL TO CERTIFY CLASS 1"),
    ("LBLVIO", "LBLVIO-LOW PRESSURE BOILER"),
)
_DOB_STATES = (
    "V-DOB VIOLATION - ACTIVE", "V*-DOB VIOLATION - DISMISSED", "V*-DOB VIOLATION - Resolved",
)  # fmt: skip
_HPD_STATES = (
    ("Open", "NOV SENT OUT"), ("Close", "VIOLATION DISMISSED"), ("Open", "INVALID CERTIFICATION"),
    ("Close", "VIOLATION CLOSED"),
)  # fmt: skip
_COMPLAINTS = (
    ("HPD", "HEAT/HOT WATER", "ENTIRE BUILDING"), ("NYPD", "Noise - Residential", "Loud Music/Party"),
    ("DOHMH", "Rodent", "Rat Sighting"), ("DSNY", "Missed Collection", "Trash"),
    ("DOB", "Elevator", "Elevator - Defective/Not Working"),
)  # fmt: skip


def generated_rows(*, seed: int = 0, today: date | None = None) -> dict[str, list[Row]]:
    """Rows by dataset id for every lot; dates of 311 rows end at *today*, the machine's unless given."""
    day = today or date.today()  # noqa: DTZ011 - New York's day or the next, and no test minds which
    found: dict[str, list[Row]] = {id_: [] for id_ in DATASETS}
    for index, lot in enumerate(LOTS):
        chance = random.Random(f"{seed}:{lot.bbl}")
        found[DOB_VIOLATIONS] += _dob_violations(chance, lot, index)
        found[HPD_VIOLATIONS] += _hpd_violations(chance, lot, index)
        found[SERVICE_REQUESTS] += _lot_requests(chance, lot, index, day)
        found[PERMITS] += _permits(chance, lot, index)
    found[DOB_VIOLATIONS] += _test_records()
    return found


def service_requests(count: int, *, seed: int = 0, today: date | None = None) -> Iterator[Row]:
    """*count* 311 rows over all lots, for imports that should take more than one page."""
    day = today or date.today()  # noqa: DTZ011 - see above
    chance = random.Random(f"{seed}:many")
    for serial in range(count):
        yield _service_request(chance, chance.choice(LOTS), 70_000_000 + serial, day)


def _dob_violations(chance: random.Random, lot: Lot, index: int) -> Iterator[Row]:
    number = lot.lot
    paddings = (f"{number:05d}", f"{number:04d}", f"{number:03d}", str(number))
    # Every third lot has all paddings; the first (1012650001) is one of them.
    for serial in range(8 if index % 3 == 0 else chance.randrange(4)):
        issued = date(1988, 1, 1) + timedelta(days=chance.randrange(13_000))
        code, kind = chance.choice(_DOB_KINDS)
        state = chance.choice(_DOB_STATES)
        printed = f"{chance.randrange(99_999):05d}"
        row = {
            "isn_dob_bis_viol": str(1_000_000 + index * 1000 + serial),
            "boro": lot.boro,
            "bin": lot.bin,
            "block": f"{lot.block:05d}",
            "lot": paddings[serial % 4] if index % 3 == 0 else paddings[0],
            "issue_date": f"{issued:%Y%m%d}",
            "violation_type_code": code,
            "violation_number": printed,
            "house_number": lot.house,
            "street": lot.street,
            "number": f"{state.partition('-')[0]}{issued:%m%d%y}{code}{printed}",
            "violation_category": state,
            "violation_type": kind,
        }
        if "*" in state:
            row["disposition_date"] = f"{issued + timedelta(days=400):%Y%m%d}"
            row["disposition_comments"] = "COMPLIANCE ACCEPTED, O'BRIEN BOILER CERT"
        if serial == 5:
            row["issue_date"] = chance.choice(("000000", "Y9990120", "20991231"))
        if serial == 6:
            del row["bin"]
        yield row


def _test_records() -> Iterator[Row]:
    """Rows about no building: Buildings' own tests, and a row that lost its place."""
    for serial in range(2):
        yield {
            "isn_dob_bis_viol": str(21_000 + serial),
            "boro": "5",
            "block": "99999",
            "lot": "99999",
            "issue_date": "19881031",
            "violation_type_code": "E",
            "house_number": "TEST",
            "street": "RECORD",
            "violation_category": "V-DOB VIOLATION - ACTIVE",
        }
    yield {"isn_dob_bis_viol": "21900", "boro": "1", "bin": "1000000", "issue_date": "19900925", "lot": "0"}


def _hpd_violations(chance: random.Random, lot: Lot, index: int) -> Iterator[Row]:
    count = _BUSY_ROWS if lot.bbl == BUSY_BBL else 2 if index == 0 else chance.randrange(9)
    for serial in range(count):
        inspected = date(2012, 1, 1) + timedelta(days=chance.randrange(4_800))
        status, current = chance.choice(_HPD_STATES)
        row = {
            "violationid": str(10_000_000 + index * 10_000 + serial),
            "buildingid": str(50_000 + index),
            "boroid": lot.boro,
            "boro": lot.borough,
            "housenumber": f"{lot.house} FRONT" if serial == 3 else lot.house,
            "lowhousenumber": lot.house,
            "highhousenumber": lot.house,
            "streetname": lot.street,
            "zip": lot.zip,
            "apartment": f"{chance.randrange(1, 7)}{chance.choice('ABCD')}",
            "block": str(lot.block),
            "lot": str(lot.lot),
            "class": chance.choice("ABCI"),
            "inspectiondate": f"{inspected}T00:00:00.000",
            "novdescription": "SECTION 27-2005 ADM CODE  PROPERLY REPAIR THE BROKEN OR DEFECTIVE PLASTER",
            "currentstatus": current,
            "currentstatusdate": f"{inspected + timedelta(days=30)}T00:00:00.000",
            "novtype": "Original",
            "violationstatus": status,
            "rentimpairing": chance.choice("YN"),
            "bin": lot.bin,
            "bbl": lot.bbl,
        }
        if serial == 4:
            del row["inspectiondate"]
        yield row


def _lot_requests(chance: random.Random, lot: Lot, index: int, today: date) -> Iterator[Row]:
    for serial in range(6 if index == 0 else chance.randrange(12)):
        row = _service_request(chance, lot, 60_000_000 + index * 1000 + serial, today)
        if serial == 4:
            del row["bbl"]
        yield row


def _service_request(chance: random.Random, lot: Lot, key: int, today: date) -> Row:
    made = datetime.combine(today, time()) - timedelta(minutes=chance.randrange(400 * 24 * 60))
    agency, kind, detail = chance.choice(_COMPLAINTS)
    latitude, longitude = f"40.{chance.randrange(10**6):06d}", f"-73.{chance.randrange(10**6):06d}"
    row: Row = {
        "unique_key": str(key),
        "created_date": made.isoformat(timespec="milliseconds"),
        "agency": agency,
        "complaint_type": kind,
        "descriptor": detail,
        "incident_zip": lot.zip,
        "incident_address": f"{lot.house} {lot.street}",
        "street_name": lot.street,
        "status": "In Progress",
        "bbl": lot.bbl,
        "borough": lot.borough,
        "open_data_channel_type": chance.choice(("ONLINE", "PHONE", "MOBILE")),
        "latitude": latitude,
        "longitude": longitude,
        "location": {"latitude": latitude, "longitude": longitude},
    }
    if (closed := made + timedelta(hours=chance.randrange(1, 2000))) < datetime.combine(today, time()):
        row |= {"status": "Closed", "closed_date": closed.isoformat(timespec="milliseconds")}
    if chance.random() < 0.1:
        row["due_date"] = (made - timedelta(days=2)).isoformat(timespec="milliseconds")
    return row


def _permits(chance: random.Random, lot: Lot, index: int) -> Iterator[Row]:
    for serial in range(5 if index == 0 else chance.randrange(7)):
        issued = date(2003, 1, 1) + timedelta(days=chance.randrange(6_500))
        row = {
            "borough": lot.borough,
            "bin__": lot.bin,
            "house__": lot.house,
            "street_name": lot.street,
            "job__": f"{lot.boro}{20_000_000 + index * 1000 + serial}",
            "job_doc___": "01",
            "job_type": chance.choice(("A1", "A2", "A3", "NB", "DM")),
            "self_cert": chance.choice("YN"),
            "block": f"{lot.block:05d}",
            "lot": f"{lot.lot:05d}",
            "zip_code": lot.zip,
            "permit_status": "ISSUED",
            "filing_status": chance.choice(("INITIAL", "RENEWAL")),
            "permit_type": chance.choice(("AL", "EW", "PL", "EQ")),
            "permit_sequence__": f"{serial + 1:02d}",
            "filing_date": _either(issued, serial),
            "issuance_date": _either(issued, serial),
            "expiration_date": _either(issued + timedelta(days=365), serial),
            "permittee_s_first_name": "REDACTED",
            "permittee_s_last_name": "REDACTED",
            "permittee_s_phone__": "REDACTED",
            "permit_si_no": str(3_000_000 + index * 1000 + serial),
            "bbl": lot.bbl,
            "dobrundate": f"{issued + timedelta(days=1)}T00:00:00.000",
        }
        if serial % 4 == 3:
            del row["bbl"]
        yield row


def _either(day: date, serial: int) -> str:
    return f"{day:%m/%d/%Y}" if serial % 2 else f"{day}T00:00:00.000"
