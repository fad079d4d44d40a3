"""Cursors: opaque, signed positions in a list. A version that pages by them reads and issues them here; one that does
not issues them for the links to its successor.
"""

import hashlib
import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.errors import DomainError, Kind

CURSOR_FORMAT = 2  # raise it when a cursor's content changes: older ones are then refused, not misread
_SIGNATURE_BYTES = 16


@dataclass(frozen=True)
class Cursor:
    """Just past `position`, walking forward or backward; without a position, from that end of the list.

    With an `offset`, forward from that many rows after the beginning: where a client of offsets goes on by cursor.
    """

    position: tuple[Any, ...] | None = None
    backward: bool = False
    offset: int = 0

    def encode(self, keys: Sequence[bytes], path: str, filters: Mapping[str, Any]) -> str:
        """The cursor as text, signed with the first key.

        It is good for this path with these filters alone; filters of no effect are left out.
        """
        position = None if self.position is None else [_to_json(value) for value in self.position]
        content = [CURSOR_FORMAT, self.backward, position, self.offset]
        payload = json.dumps(content, separators=(",", ":")).encode()
        return urlsafe_b64encode(_sign(keys[0], path, filters, payload) + payload).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, keys: Sequence[bytes], path: str, filters: Mapping[str, Any]) -> "Cursor":
        """DomainError INVALID `invalid-cursor` for what was not made here, with one of the keys, for this very list."""
        try:
            raw = b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise _invalid_cursor() from None
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not any(hmac.compare_digest(signature, _sign(key, path, filters, payload)) for key in keys):
            raise _invalid_cursor()
        version, *content = json.loads(payload)
        if version != CURSOR_FORMAT:
            raise _invalid_cursor()
        backward, position, offset = content
        return cls(None if position is None else tuple(_of_json(value) for value in position), backward, offset)


def _sign(key: bytes, path: str, filters: Mapping[str, Any], payload: bytes) -> bytes:
    binding = json.dumps([path, filters], sort_keys=True, separators=(",", ":"))
    bound = hashlib.sha256(binding.encode()).digest()
    return hmac.digest(key, bound + payload, "sha256")[:_SIGNATURE_BYTES]


def _to_json(value: Any) -> Any:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


def _of_json(value: Any) -> Any:
    return datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value


def _invalid_cursor() -> DomainError:
    return DomainError(Kind.INVALID, "invalid-cursor", "The cursor does not belong to this list; begin without one")
