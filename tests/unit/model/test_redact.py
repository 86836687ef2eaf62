"""Secrets out of text; ordinary messages untouched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.redact import redact

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"key: {KEY} end", "MIIB"),
        ("-----BEGIN PRIVATE KEY-----\ncut off in the mid", "cut off"),
        ("clone https://user:hunter22@git.example.com/x", "hunter22"),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ("got eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl here", "eyJhbGciOiJI"),
        ("AKIAIOSFODNN7EXAMPLE denied", "AKIAIOSFODNN7EXAMPLE"),
        ("ghp_abcdefghij0123456789KLMN", "ghp_abcdefghij"),
        ("glpat-abcdefghij01234567", "glpat-abcdefghij"),
        ("xoxb-1234567890-abcdef", "xoxb-1234567890"),
        ("AGE-SECRET-KEY-1ABCDEFGHIJKLMNOPQRSTUVWX", "1ABCDEFGHIJ"),
        ("password=hunter22", "hunter22"),
        ("passwd: secretword", "secretword"),
        ("db_password: 'secretword'", "secretword"),
        ('{"token": "s3cr3tvalue"}', "s3cr3tvalue"),
        ("api-key = ABCDEFGH", "ABCDEFGH"),
        ("token: abc123def", "abc123def"),
        ("client_secret: abcdefghijklmnopqrst", "abcdefghijklmnopqrst"),
        ("data " + "QUJD" * 60, "QUJDQUJDQUJD"),
    ],
)
def test_a_secret_of_a_known_shape_is_taken_out(text, secret):
    assert secret not in redact(text)
    assert "[redacted" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Secret.v1 'ledger/ledger-api-token': failed to decrypt",
        "Secret/ledger/ledger-api-token dry-run failed: denied by policy",
        "Secret/apps/db-password: forbidden",
        'secret "db-password": not found',
        "failed to get token: unauthorized",
        "the token is not valid: expired",
        "Applied revision: main@sha1:0123456789abcdef0123456789abcdef01234567",
        "stored artifact with digest sha256:" + "0123456789abcdef" * 4,
        "https://charts.example.com/index.yaml: 404 Not Found",
        "basic authentication failed",
    ],
)
def test_an_ordinary_message_is_left_alone(text):
    assert redact(text) == text


@given(st.text(max_size=300))
def test_redacting_twice_is_redacting_once(text):
    assert redact(redact(text)) == redact(text)


@given(st.text(st.characters(categories=["L", "N"]), min_size=4, max_size=40), st.text(max_size=50))
def test_a_password_beside_its_name_never_passes(secret, around):
    assert f"password={secret}" not in redact(f"{around} password={secret}")
