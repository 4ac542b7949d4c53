"""The four datasets that are played, column by column.

3h2n-5cm9 and ipu4-2q9a are complete and typed as their metadata says (recorded);
of wvxf-dwi5 and erm2-nwe9 the names are recorded (an export's header, single rows)
and the types are read off the rows: text wherever a row does not show better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.sandbox.soda.values import Kind

__all__ = ["DATASETS", "DOB_VIOLATIONS", "HPD_VIOLATIONS", "PERMITS", "SERVICE_REQUESTS", "Dataset"]

DOB_VIOLATIONS = "3h2n-5cm9"
HPD_VIOLATIONS = "wvxf-dwi5"
SERVICE_REQUESTS = "erm2-nwe9"
PERMITS = "ipu4-2q9a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset; ``code`` is the name that its error messages call it by."""

    id: str
    code: str
    columns: Mapping[str, Kind]


def _columns(names: str, **others: Kind) -> dict[str, Kind]:
    return {name: others.get(name, "text") for name in names.split()}


_ALL = (
    Dataset(
        id=DOB_VIOLATIONS,
        code="foxtrot.40053",
        columns=_columns(
            """isn_dob_bis_viol boro bin block lot issue_date violation_type_code violation_number
            house_number street disposition_date disposition_comments device_number description ecb_number
            number violation_category violation_type"""
        ),
    ),
    Dataset(
        id=HPD_VIOLATIONS,
        code="sandbox.10001",
        columns=_columns(
            """violationid buildingid registrationid boroid boro housenumber lowhousenumber highhousenumber
            streetname streetcode zip apartment story block lot class inspectiondate approveddate
            originalcertifybydate originalcorrectbydate newcertifybydate newcorrectbydate certifieddate
            ordernumber novid novdescription novissueddate currentstatusid currentstatus currentstatusdate
            novtype violationstatus rentimpairing latitude longitude communityboard councildistrict
            censustract bin bbl nta""",
            inspectiondate="floating_timestamp",
            approveddate="floating_timestamp",
            originalcertifybydate="floating_timestamp",
            originalcorrectbydate="floating_timestamp",
            newcertifybydate="floating_timestamp",
            newcorrectbydate="floating_timestamp",
            certifieddate="floating_timestamp",
            novissueddate="floating_timestamp",
            currentstatusdate="floating_timestamp",
        ),
    ),
    Dataset(
        id=SERVICE_REQUESTS,
        code="sandbox.10002",
        columns=_columns(
            """unique_key created_date closed_date agency agency_name complaint_type descriptor location_type
            incident_zip incident_address street_name cross_street_1 cross_street_2 intersection_street_1
            intersection_street_2 address_type city landmark facility_type status due_date
            resolution_description resolution_action_updated_date community_board bbl borough
            x_coordinate_state_plane y_coordinate_state_plane open_data_channel_type park_facility_name
            park_borough vehicle_type taxi_company_borough taxi_pick_up_location bridge_highway_name
            bridge_highway_direction road_ramp bridge_highway_segment latitude longitude location""",
            created_date="floating_timestamp",
            closed_date="floating_timestamp",
            due_date="floating_timestamp",
            resolution_action_updated_date="floating_timestamp",
            x_coordinate_state_plane="number",
            y_coordinate_state_plane="number",
            latitude="number",
            longitude="number",
            location="location",
        ),
    ),
    Dataset(
        id=PERMITS,
        code="foxtrot.15668",
        columns=_columns(
            """borough bin__ house__ street_name job__ job_doc___ job_type self_cert block lot community_board
            zip_code bldg_type residential special_district_1 special_district_2 work_type permit_status
            filing_status permit_type permit_sequence__ permit_subtype oil_gas site_fill filing_date
            issuance_date expiration_date job_start_date permittee_s_first_name permittee_s_last_name
            permittee_s_business_name permittee_s_phone__ permittee_s_license_type permittee_s_license__
            act_as_superintendent permittee_s_other_title hic_license site_safety_mgr_s_first_name
            site_safety_mgr_s_last_name site_safety_mgr_business_name superintendent_first___last_name
            superintendent_business_name owner_s_business_type non_profit owner_s_business_name
            owner_s_first_name owner_s_last_name owner_s_house__ owner_s_house_street_name city state
            owner_s_zip_code permit_si_no gis_latitude gis_longitude gis_council_district gis_census_tract bbl
            gis_nta_name dobrundate""",
            bbl="number",
            dobrundate="floating_timestamp",
        ),
    ),
)
DATASETS: Mapping[str, Dataset] = {dataset.id: dataset for dataset in _ALL}
