"""What is recorded of version 2."""

from contract_tests.golden.v2 import across, auth, clients, failures, idempotency, lifecycle, lists, posts, users, votes

SCENARIOS = {
    **users.SCENARIOS,
    **auth.SCENARIOS,
    **lists.SCENARIOS,
    **posts.SCENARIOS,
    **votes.SCENARIOS,
    **clients.SCENARIOS,
    **lifecycle.SCENARIOS,
    **across.SCENARIOS,
    **idempotency.SCENARIOS,
    **failures.SCENARIOS,
}
