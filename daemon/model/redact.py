"""Secrets out of text by fixed patterns, before it is stored, logged, shown or sent (promise P6).

Limits: it knows shapes, not values; a secret without a shape and without a telling name beside it passes, and so does
what stands behind `,` or `;` in a value without quotes. Every pattern is linear and anchored by a literal, and a cheap
search for those literals lets ordinary text through untouched. JSON is redacted string by string (`redact_json`):
a pattern that runs over its text cannot know where a string ends, and what it leaves may be no JSON any more.
"""

import re
from collections.abc import Mapping

import re2

PASSWORD = r"passw(?:or)?d|passphrase"  # noqa: S105 - a pattern
CREDENTIAL = (
    r"secret[_-]?(?:access[_-]?)?key|(?:access|account|api|private)[_-]?key"
    r"|(?:client|shared|signing|webhook)[_-]?secret|token"
)
KEY = rf"(?:{PASSWORD}|{CREDENTIAL})"
QUOTE = r"\\?[\"']"
"""A quote, or one that is escaped because the whole stands in a string itself."""
VALUE = r"(?:\\[^\"']|[^\s\"'\\,;&}{\[\]]){4,}"
UNLIKE_A_WORD = r"(?=[^\s\"',;&}{\[\]]{0,40}\d|[^\s\"',;&}{\[\]]{16})"
"""`token: abc123` is a value and `no token: unauthorized` a sentence: digits or length tell them apart."""
START = r"(?<![/\w.-])[a-z0-9_.-]{0,40}"
"""Where a key may begin in a sentence; what follows a slash is the name of an object: `Secret/db-password: denied`."""
DIGEST = r"sha256:[0-9a-f]{64}\b"
NEW = rf"(?!\[redacted|{DIGEST})"
"""What was redacted stays as it is, and so do digests: helm-controller's events carry one as `.../token`."""
NAMED = r"\1[redacted:value]"

PATTERNS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "private-key",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^\"']*?"
            r"(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|(?=[\"'])|\Z)"
        ),
        "[redacted:private-key]",
    ),
    ("url", re.compile(r"(?<=://)[^/\s:@\"']{0,256}:[^/\s\"']{1,256}@"), "[redacted:userinfo]@"),
    ("webhook-url", re.compile(r"(?<=//hooks\.slack\.com/)[\w/-]{8,}|(?<=/api/webhooks/)[\w/-]{8,}"), "[redacted:url]"),
    (
        "signed-url",
        re.compile(r"(?i)([?&](?:x-(?:amz|goog)-(?:signature|security-token)|sig|signature)=)(?!\[redacted)[^&\s\"']+"),
        r"\1[redacted:signature]",
    ),
    (
        "authorization",
        re.compile(rf"(?i)\b(bearer|basic)\s+{UNLIKE_A_WORD}[A-Za-z0-9._~+/=-]{{8,}}"),
        r"\1 [redacted:credential]",
    ),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{5,2048}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"), "[redacted:jwt]"),
    ("aws", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), "[redacted:aws-key]"),
    ("github", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"), "[redacted:github-token]"),
    ("gitlab", re.compile(r"\bglpat-[A-Za-z0-9_-]{15,}"), "[redacted:gitlab-token]"),
    ("slack", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"), "[redacted:slack-token]"),
    ("age", re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}"), "[redacted:age-key]"),
    (
        "quoted",
        re.compile(
            rf"(?i)((?:{START}{KEY}|\b[a-z0-9_.-]{{0,40}}{KEY}{QUOTE})\s*[:=]\s*({QUOTE}))"
            rf"{NEW}(?:(?!\2)(?:\\.|[^\n\\]))+(?=\2)"
        ),
        NAMED,
    ),
    ("cut-off", re.compile(rf"(?i)({START}{KEY}(?:{QUOTE})?\s*[:=]\s*{QUOTE}){NEW}[^\n]+"), NAMED),
    ("named", re.compile(rf"(?i)(\b[a-z0-9_.-]{{0,40}}{KEY}(?:{QUOTE})?\s*=\s*(?:{QUOTE})?){NEW}{VALUE}"), NAMED),
    ("password", re.compile(rf"(?i)({START}(?:{PASSWORD}):\s*){NEW}{VALUE}"), NAMED),
    ("token", re.compile(rf"(?i)({START}(?:{CREDENTIAL}):\s*){NEW}{UNLIKE_A_WORD}{VALUE}"), NAMED),
    ("flag", re.compile(rf"(?i)(--[a-z0-9-]{{0,40}}{KEY}\s+){NEW}{UNLIKE_A_WORD}{VALUE}"), NAMED),
    ("blob", re.compile(r"[A-Za-z0-9+/]{200,}={0,2}"), "[redacted:base64]"),
)

SECRET_KIND = re.compile(r"\bkind\W{1,8}Secret\b")
SECRET_DATA: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"(\\?\")((?:string)?[dD]ata)\1(\s*:\s*)\{(?![^{}]*\[redacted:secret-data)[^{}]*\}"),
        r"\1\2\1\3\1[redacted:secret-data]\1",
    ),
    (
        re.compile(r"(?m)^([ \t]*)((?:string)?[dD]ata):[ \t]*(?:\n\1[ \t]+[^\n]*)+"),
        r"\1\2: [redacted:secret-data]",
    ),
)
"""The data of a Secret in a manifest that a message quotes, as JSON and as YAML."""

HINTS = re2.compile(  # type: ignore[no-untyped-call] # the library has no types
    r"PRIVATE KEY|://[^/\s]{0,1000}@|(?i:bearer|basic\W|passw|passphrase|(?:access|account|api|private|secret)[_-]?key)"
    r"|(?i:(?:client|shared|signing|webhook)[_-]?secret|token|[?&]sig(?:nature)?=|-signature=)|kind\W{1,8}Secret\b"
    r"|hooks\.slack\.com|/api/webhooks/"
    r"|eyJ|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|xapp-|AGE-SECRET|[A-Za-z0-9+/]{200}"
)
"""What any of the patterns needs to be there at all. RE2 looks for all of them in one pass: 7 µs for 2 kB, where the
standard library takes 190 µs, most of what decoding an object cost. Its classes are ASCII: that lets no more pass.
"""
TELLING = re.compile(rf"(?i){KEY}$")
ONLY_DIGEST = re.compile(rf"{DIGEST}\Z")
SECRET_MAPS = ("data", "stringData")
HIDDEN_VALUE = "[redacted:value]"


def is_suspect(text: str) -> bool:
    """Say whether a text has anything that a secret could hang on; the rest need not be looked at closer."""
    return HINTS.search(text.encode("utf-8", "replace")) is not None


def redact(text: str) -> str:
    """Return the text with every secret that has a known shape replaced by [redacted:KIND]."""
    return _once(_once(text)) if is_suspect(text) else text


def _once(text: str) -> str:
    """Go through all patterns once; what one takes out may lay bare what stood behind it, hence twice."""
    if SECRET_KIND.search(text) is not None:
        for pattern, word in SECRET_DATA:
            text = pattern.sub(word, text)
    for _, pattern, word in PATTERNS:
        text = pattern.sub(word, text)
    return text


def redact_json(value: object) -> object:
    """Return the same JSON with every string redacted, whole where its key, or the name beside it, tells a secret."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        named = TELLING.search(str(value.get("name", ""))) is not None
        secret = value.get("kind") == "Secret"
        return {
            key: _hide_all(item)
            if secret and key in SECRET_MAPS
            else _hide(item)
            if TELLING.search(key) or (named and key == "value")
            else redact_json(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return value


def _hide(value: object) -> object:
    """Hide a string that stands under a telling key, unless it is a digest; what is no string is looked through."""
    if isinstance(value, str) and value and ONLY_DIGEST.match(value) is None:
        return HIDDEN_VALUE
    return redact_json(value)


def _hide_all(value: object) -> object:
    """Hide the values of a Secret's data and keep its keys."""
    return {key: _hide(item) for key, item in value.items()} if isinstance(value, Mapping) else redact_json(value)
