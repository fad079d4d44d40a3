"""Recorded exchanges of every version. The seed and the scenarios are all that knows this API's nouns."""

from collections.abc import Mapping

from app.versioning.contract.golden import Request
from contract_tests.golden import v1, v2

# By version, by scenario, by name of the exchange. Each scenario begins with the seed.
SCENARIOS: Mapping[str, Mapping[str, Mapping[str, Request]]] = {"v1": v1.SCENARIOS, "v2": v2.SCENARIOS}
