"""Countries and territories with left-hand traffic.

Source: the table of left- and right-hand traffic by country, https://en.wikipedia.org/wiki/Left-_and_right-hand_traffic,
which follows the United Nations Conventions on Road Traffic (1949, 1968) and the road codes of the countries. The last
country to change side was Samoa, to the left, in 2009.
"""

from __future__ import annotations

from typing import Final

_AFRICA: Final = "BW KE LS MU MW MZ NA SC SH SZ TZ UG ZA ZM ZW"
_AMERICAS: Final = "AG AI BB BM BS DM FK GD GS GY JM KN KY LC MS SR TC TT VC VG VI"
_ASIA: Final = "BD BN BT HK ID IN JP LK MO MV MY NP PK SG TH TL"
_EUROPE: Final = "CY GB GG IE IM JE MT"
_OCEANIA: Final = "AU CC CK CX FJ KI NF NR NU NZ PG PN SB TK TO TV WS"

LEFT_HAND_TRAFFIC: Final = frozenset(" ".join((_AFRICA, _AMERICAS, _ASIA, _EUROPE, _OCEANIA)).split())
"""Countries that drive on the left; the others drive on the right."""
NO_RULE_OF_THE_ROAD: Final = frozenset({"AQ", "BV", "HM", "TF"})
"""Territories without public roads, where neither side is wrong."""
