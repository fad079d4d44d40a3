"""What proves that a version keeps its contract. Knows versions and exchanges, and no noun of any API."""
