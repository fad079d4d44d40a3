"""What is recorded of version 1. A pinned client is written against exactly these replies."""

from contract_tests.golden.v1 import auth, failures, posts, retired, users, votes, writes

SCENARIOS = {
    **users.SCENARIOS,
    **auth.SCENARIOS,
    **posts.SCENARIOS,
    **writes.SCENARIOS,
    **votes.SCENARIOS,
    **failures.SCENARIOS,
    **retired.SCENARIOS,
}
