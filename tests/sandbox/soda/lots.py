"""Thirty real tax lots to make rows for.

Addresses, BINs and zips of those marked R stand so in the recorded rows; the
others are landmarks under their published BBL, with BINs made up by us.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUSY_BBL", "LOTS", "Lot"]

BOROUGHS = ("MANHATTAN", "BRONX", "BROOKLYN", "QUEENS", "STATEN ISLAND")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """One tax lot and the building on it."""

    bbl: str
    bin: str
    house: str
    street: str
    zip: str

    @property
    def boro(self) -> str:
        """The borough's digit."""
        return self.bbl[0]

    @property
    def borough(self) -> str:
        """The borough's name in capitals."""
        return BOROUGHS[int(self.bbl[0]) - 1]

    @property
    def block(self) -> int:
        """The tax block."""
        return int(self.bbl[1:6])

    @property
    def lot(self) -> int:
        """The tax lot within its block."""
        return int(self.bbl[6:])


_TABLE = """
1012650001 1083862 30      ROCKEFELLER PLAZA            10112
1008350041 1015862 350     5 AVENUE                     10118
1012970023 1037563 405     LEXINGTON AVENUE             10174
1012800001 1036156 89      EAST 42 STREET               10017
1008510001 1016278 175     5 AVENUE                     10010
1001230022 1001394 233     BROADWAY                     10279
1007810001 1014175 4       PENNSYLVANIA PLAZA           10001
1000670001 1079001 59      MAIDEN LANE                  10038 R
1008770057 1018005 144     EAST 22 STREET               10010 R
1017570001 1081110 2175    5 AVENUE                     10037 R
1019540043 1059389 348     ST NICHOLAS AVENUE           10027 R
1021650055 1063954 616     WEST 184 STREET              10033 R
1007937507 1087701 605     6 AVENUE                     10011 R
2024820030 2002971 751     GERARD AVENUE                10451 R
2028670103 2008512 1718    GRAND AVENUE                 10453 R
2032250177 2014971 2311    LORING PLACE NORTH           10468 R
2040290004 2042905 608     MORRIS PARK AVENUE           10460 R
2045960015 2056241 3234    WHITE PLAINS ROAD            10467 R
3012040077 3029950 1509    PACIFIC STREET               11213 R
3015540060 3042315 1449    HERKIMER STREET              11233 R
3046740064 3102071 355     EAST 48 STREET               11203 R
3047040044 3103129 5603    SNYDER AVENUE                11203 R
3050910007 3116942 803     ROGERS AVENUE                11226 R
3074630049 3205018 1801    VOORHIES AVENUE              11235 R
4108980002 4233155 198-03  HOLLIS AVENUE                11412 R
4110660001 4238340 194-15  LINDEN BOULEVARD             11412 R
4155720001 4298444 7-07    BEACH 9 STREET               11691 R
4156610041 4532836 22-51   DIX AVENUE                   11691 R
4163500400 4623172 117     BEACH 215 STREET             11697 R
5054200062 5070061 46      MAYBERRY PROMENADE           10312 R
"""


def _lot(line: str) -> Lot:
    bbl, bin_, house, *street = line.removesuffix(" R").split()
    return Lot(bbl=bbl, bin=bin_, house=house, street=" ".join(street[:-1]), zip=street[-1])


LOTS = tuple(_lot(line) for line in _TABLE.strip().splitlines())

BUSY_BBL = "2024820030"
"""The lot with more HPD violations than a page of the default limit holds."""
