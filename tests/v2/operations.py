"""The operations of version 2. Whoever adds one says so here."""

OPERATION_IDS = [
    "change_password",
    "create_post",
    "create_token",
    "create_user",
    "delete_account",
    "delete_post",
    "delete_vote",
    "get_account",
    "get_client",
    "get_consent",
    "get_post",
    "get_readiness",
    "get_user",
    "list_clients",
    "list_posts",
    "list_tags",
    "put_consent",
    "put_vote",
    "register_client",
    "remove_client",
    "replace_post",
    "revoke_token",
    "update_account",
    "update_client",
    "update_post",
]
# Those that answer without a token.
OPEN_TO_ALL = {"create_token", "create_user", "get_post", "get_user", "list_posts", "list_tags", "revoke_token"}
# Those that refuse whoever is no administrator, whatever they ask for.
ADMINISTRATORS_ONLY = {"get_readiness", "list_clients", "register_client", "remove_client", "update_client"}
