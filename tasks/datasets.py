"""The City's data sets: their columns, how a lot is asked for, and whose row a row is.

Docs     https://data.cityofnewyork.us/d/<id> for each id below
Quirks   DOB violations have no bbl; 3 % of the permits lack theirs; lots are padded to 5 digits,
         to 4, or not at all; HPD writes block and lot unpadded; 311 has nothing but the bbl
Read on  2026-11-21
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from tasks import soql
from tasks.arguments.bbl import BBL

__all__ = [
    "COMPLAINTS_311",
    "DATASETS",
    "DOB_VIOLATIONS",
    "HPD_VIOLATIONS",
    "PERMITS",
    "Dataset",
    "LotColumns",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LotColumns:
    """Where a data set keeps borough, block and lot; *spelled* writes the borough as it does."""

    borough: str
    block: str
    lot: str
    spelled: Callable[[BBL], str]

    def where(self, bbls: Iterable[BBL]) -> str:
        """True for rows of any of *bbls*, in whatever padding, and of no other lot.

        ``block in(...)`` can use an index; the lots behind it are compared one by one. Lists of
        every padding on both sides would need more bytes than a URL has, and one list of blocks
        beside one of lots would fetch every combination of the two.
        """
        boroughs = groupby(sorted(bbls), key=attrgetter("borough"))
        return soql.any_of(f"({self._in_borough(list(lots))})" for _, lots in boroughs)

    def _in_borough(self, bbls: list[BBL]) -> str:
        blocks = groupby(bbls, key=attrgetter("block"))
        borough = soql.one_of(self.borough, [self.spelled(bbls[0])])
        return soql.all_of(borough, soql.any_of(self._in_block(list(lots)) for _, lots in blocks))

    def _in_block(self, bbls: list[BBL]) -> str:
        block = soql.one_of(self.block, bbls[0].blocks)
        return soql.all_of(block, soql.any_of(soql.ends_with(self.lot, bbl.lot_in_full) for bbl in bbls))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One data set.

    Attributes:
        name: Its key in results and in ``include``.
        id: Socrata's four-by-four.
        key: The column that pages are ordered by.
        columns: Everything that may be asked for; any other name is a bug of ours, caught here.
        bbl: The column with the whole BBL, if there is one.
        lot: The columns with its parts, if there are.
        created: The column with the time of the event, for windows.
    """

    name: str
    id: str
    key: str
    columns: frozenset[str]
    bbl: str = ""
    lot: LotColumns | None = None
    created: str = ""

    def __post_init__(self) -> None:
        used = {self.key, self.bbl, self.created} - {""}
        if self.lot:
            used |= {self.lot.borough, self.lot.block, self.lot.lot}
        if unknown := used - self.columns:
            raise ValueError(f"{self.name} has no column {', '.join(sorted(unknown))}")

    @property
    def path(self) -> str:
        """Where it is asked."""
        return f"/resource/{self.id}.json"

    def where(self, bbls: Iterable[BBL]) -> str:
        """True for at least every row of *bbls*."""
        asked = sorted(bbls)
        whole = soql.one_of(self.bbl, map(str, asked)) if self.bbl else ""
        parts = self.lot.where(asked) if self.lot else ""
        return soql.any_of(filter(None, (whole, parts)))

    def owner(self, row: Mapping[str, Any]) -> BBL | None:
        """The lot that *row* is about: by its bbl if that is one, else by its parts."""
        if self.bbl and (bbl := BBL.from_column(row.get(self.bbl))):
            return bbl
        if self.lot is None:
            return None
        return BBL.from_columns(row.get(self.lot.borough), row.get(self.lot.block), row.get(self.lot.lot))


def _columns(names: str) -> frozenset[str]:
    return frozenset(names.split())


DOB_VIOLATIONS = Dataset(
    name="dob_violations",
    id="3h2n-5cm9",
    key="isn_dob_bis_viol",
    lot=LotColumns(borough="boro", block="block", lot="lot", spelled=lambda bbl: str(bbl.borough)),
    columns=_columns(
        "isn_dob_bis_viol boro bin block lot issue_date violation_type_code violation_number house_number "
        "street disposition_date disposition_comments device_number description ecb_number number "
        "violation_category violation_type"
    ),
)

HPD_VIOLATIONS = Dataset(
    name="hpd_violations",
    id="wvxf-dwi5",
    key="violationid",
    bbl="bbl",
    lot=LotColumns(borough="boroid", block="block", lot="lot", spelled=lambda bbl: str(bbl.borough)),
    columns=_columns(
        "violationid buildingid registrationid boroid boro housenumber lowhousenumber highhousenumber "
        "streetname streetcode zip apartment story block lot class inspectiondate approveddate "
        "originalcertifybydate originalcorrectbydate newcertifybydate newcorrectbydate certifieddate "
        "ordernumber novid novdescription novissueddate currentstatusid currentstatus currentstatusdate "
        "novtype violationstatus rentimpairing latitude longitude communityboard councildistrict "
        "censustract bin bbl nta"
    ),
)

COMPLAINTS_311 = Dataset(
    name="complaints_311",
    id="erm2-nwe9",
    key="unique_key",
    bbl="bbl",
    created="created_date",
    columns=_columns(
        "unique_key created_date closed_date agency agency_name complaint_type descriptor descriptor_2 "
        "location_type incident_zip incident_address street_name cross_street_1 cross_street_2 "
        "intersection_street_1 intersection_street_2 address_type city landmark facility_type status "
        "due_date resolution_description resolution_action_updated_date community_board "
        "council_district police_precinct bbl borough x_coordinate_state_plane y_coordinate_state_plane "
        "open_data_channel_type park_facility_name park_borough vehicle_type taxi_company_borough "
        "taxi_pick_up_location bridge_highway_name bridge_highway_direction road_ramp "
        "bridge_highway_segment latitude longitude location"
    ),
)

PERMITS = Dataset(
    name="permits",
    id="ipu4-2q9a",
    key="job__",
    bbl="bbl",
    lot=LotColumns(borough="borough", block="block", lot="lot", spelled=lambda bbl: bbl.borough_name),
    columns=_columns(
        "borough bin__ house__ street_name job__ job_doc___ job_type self_cert block lot community_board "
        "zip_code bldg_type residential special_district_1 special_district_2 work_type permit_status "
        "filing_status permit_type permit_sequence__ permit_subtype oil_gas site_fill filing_date "
        "issuance_date expiration_date job_start_date permittee_s_first_name permittee_s_last_name "
        "permittee_s_business_name permittee_s_phone__ permittee_s_license_type permittee_s_license__ "
        "act_as_superintendent permittee_s_other_title hic_license site_safety_mgr_s_first_name "
        "site_safety_mgr_s_last_name site_safety_mgr_business_name superintendent_first___last_name "
        "superintendent_business_name owner_s_business_type non_profit owner_s_business_name "
        "owner_s_first_name owner_s_last_name owner_s_house__ owner_s_house_street_name city state "
        "owner_s_zip_code permit_si_no gis_latitude gis_longitude gis_council_district gis_census_tract "
        "bbl gis_nta_name dobrundate"
    ),
)

DATASETS = {each.name: each for each in (DOB_VIOLATIONS, HPD_VIOLATIONS, COMPLAINTS_311, PERMITS)}
