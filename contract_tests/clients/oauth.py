"""What a stock OAuth 2.0 client does with version 2, with nothing told to it but where the endpoints are."""

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client


def scenario(base_url: str, word: str) -> dict[str, object]:
    email, token_url = f"{word}@example.com", f"{base_url}/v2/auth/token"
    body = {"email": email, "password": "correct horse"}
    account = httpx.post(f"{base_url}/v2/users", json=body).raise_for_status().json()
    given: list[str] = []

    def remember(token: dict[str, str], **_: str) -> None:
        given.append(token["refresh_token"])

    client = OAuth2Client(
        "any-client", token_endpoint_auth_method="none", token_endpoint=token_url, update_token=remember
    )
    try:
        client.fetch_token(username=email, password="wrong horse")
    except OAuthError as error:
        refused = error.error
    first = dict(client.fetch_token(username=email, password="correct horse"))
    known = client.get(f"{base_url}/v2/users/me").json() == account

    second = dict(client.refresh_token())
    client.token["expires_at"] = 1  # as time would have it: the client refreshes by itself
    still_known = client.get(f"{base_url}/v2/users/me").json() == account
    third = dict(client.token)

    revoked = client.revoke_token(f"{base_url}/v2/auth/revoke", token=third["refresh_token"]).status_code
    ended = client.get(f"{base_url}/v2/users/me").status_code
    return {
        "refused": refused,
        "known": known and still_known,
        "refreshed": len({first["access_token"], second["access_token"], third["access_token"]}) == 3,
        "by itself": given[-1] == third["refresh_token"],
        "revoked": revoked,
        "ended": ended,
    }
