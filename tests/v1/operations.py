"""The operations of version 1. Whoever adds one says so here."""

OPERATION_IDS = [
    "create_post",
    "create_user",
    "delete_post",
    "get_post",
    "get_user",
    "list_posts",
    "login",
    "replace_post",
    "update_post",
    "vote",
]
# Those that answer without a token.
OPEN_TO_ALL = {"create_user", "get_user", "login"}
ADMINISTRATORS_ONLY: set[str] = set()
