"""Secrets out of text by fixed patterns, before it is stored, logged, shown or sent (promise P6).

Limits: it knows shapes, not values; a secret without a shape and without a telling name beside it passes. Every pattern
is linear and anchored by a literal, and a cheap search for those literals lets ordinary text through untouched.
"""

import re

import re2

PASSWORD = r"passw(?:or)?d|passphrase"  # noqa: S105 - a pattern
TOKEN = r"secret[_-]?key|client[_-]?secret|api[_-]?key|access[_-]?token|auth[_-]?token|token"  # noqa: S105 - a pattern
GIVEN = r"(?:[\"']?\s*=\s*[\"']?|[\"']?\s*:\s*[\"'])"
"""key=value, or a key and a quoted value. A quoted name before a bare word is prose: `Secret 'api-token': failed`."""
VALUE = r"[^\s\"',;&}{\[\]]{4,}"
UNLIKE_A_WORD = r"(?=[^\s\"',;&}{\[\]]{0,40}\d|[^\s\"',;&}{\[\]]{16})"
"""`token: abc123` is a value and `no token: unauthorized` a sentence: digits or length tell them apart."""
START = r"(?<![/\w.-])[a-z0-9_.-]{0,40}"
"""Where a key may begin in a sentence; what follows a slash is the name of an object: `Secret/db-password: denied`."""
NAMED = r"\1[redacted:value]"

PATTERNS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "private-key",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        "[redacted:private-key]",
    ),
    ("url", re.compile(r"(?<=://)[^/\s:@\"']{0,256}:[^/\s@\"']{1,256}@"), "[redacted:userinfo]@"),
    (
        "authorization",
        re.compile(rf"(?i)\b(bearer|basic)\s+{UNLIKE_A_WORD}[A-Za-z0-9._~+/=-]{{8,}}"),
        r"\1 [redacted:credential]",
    ),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"), "[redacted:jwt]"),
    ("aws", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), "[redacted:aws-key]"),
    ("github", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"), "[redacted:github-token]"),
    ("gitlab", re.compile(r"\bglpat-[A-Za-z0-9_-]{15,}"), "[redacted:gitlab-token]"),
    ("slack", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"), "[redacted:slack-token]"),
    ("age", re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}"), "[redacted:age-key]"),
    ("named", re.compile(rf"(?i)(\b[a-z0-9_.-]{{0,40}}(?:{PASSWORD}|{TOKEN}){GIVEN})(?!\[redacted){VALUE}"), NAMED),
    ("password", re.compile(rf"(?i)({START}(?:{PASSWORD}):\s*)(?!\[redacted){VALUE}"), NAMED),
    ("token", re.compile(rf"(?i)({START}(?:{TOKEN}):\s*)(?!\[redacted){UNLIKE_A_WORD}{VALUE}"), NAMED),
    ("blob", re.compile(r"[A-Za-z0-9+/]{200,}={0,2}"), "[redacted:base64]"),
)

HINTS = re2.compile(  # type: ignore[no-untyped-call] # the library has no types
    r"PRIVATE KEY|://[^/\s@]{0,512}@|(?i:bearer|basic\W|passw|passphrase|secret[_-]?key|client[_-]?secret|api[_-]?key|token)"
    r"|eyJ|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|xapp-|AGE-SECRET|[A-Za-z0-9+/]{200}"
)
"""What any of the patterns needs to be there at all. RE2 looks for all of them in one pass: 7 µs for 2 kB, where the
standard library takes 190 µs, most of what decoding an object cost. Its classes are ASCII: that lets no more pass.
"""


def redact(text: str) -> str:
    """Return the text with every secret that has a known shape replaced by [redacted:KIND]."""
    if HINTS.search(text.encode("utf-8", "replace")) is None:
        return text
    for _, pattern, word in PATTERNS:
        text = pattern.sub(word, text)
    return text
