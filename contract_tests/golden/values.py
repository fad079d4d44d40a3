"""Values that several scenarios send."""

LAST_ID = 2**63 - 1
MICROSECONDS = "2026-03-01T12:00:00.000250Z"
MILLISECONDS = "2026-03-01T12:00:00.120Z"
LATER = "2026-03-01T12:00:05Z"
# Bodies that are no JSON object, by what they are.
NO_OBJECTS: dict[str, str | bytes] = {
    "white space": " ",
    "cut off": "{",
    "no JSON": "nope",
    "a comma too many": '{"a":1,}',
    "single quotes": "{'title': 'x'}",
    "NUL": b"\x00",
    "null": "null",
    "an empty list": "[]",
    "a list of one object": "[{}]",
    "a text": '"text"',
    "a lone surrogate": r'"\ud800"',
    "a number": "1",
    "a flag": "true",
    "NaN": "NaN",
    "not UTF-8": b'{"title": "\xff\xfe"}',
    "cut within a character": b'{"a": "cut \xe2\x82',
    "100,000 lists": "{repeat:[:100000}",
    "5,000 digits": '{"title":{repeat:9:5000}}',
}
# What may stand in a path where an id belongs.
NO_IDS = {
    "zero": "0",
    "negative": "-1",
    "beyond int64": str(2**63),
    "far beyond": "1" + "0" * 30,
    "a word": "abc",
    "a fraction": "1.5",
    "an underscore": "1_0",
    "a sign": "+1",
    "a space": "%201",
    "an Arabic digit": "%D9%A1",
    "NUL": "1%00",
    "not UTF-8": "%FF",
    "5,000 digits": "{repeat:9:5000}",
}
NO_EMAILS = {
    "no at": "ada.example.com",
    "two ats": "a@b@example.com",
    "no dot": "ada@example",
    "empty": "",
    "a space": "a da@example.com",
    "unicode": "zoë@example.com",
    "a dot at the end": "ada@example.com.",
    "a display name": "Ada <ada@example.com>",
    "NUL": "a\x00@example.com",
}
