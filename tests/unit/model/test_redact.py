"""Secrets out of text; ordinary messages untouched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.redact import redact, redact_json

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
SLACK = "xoxb-" + "1234567890-abcdef"
HOOK = "https://hooks.slack.com/" + "services/T0/B0/XXXXXXXX"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"key: {KEY} end", "MIIB"),
        ("-----BEGIN PRIVATE KEY-----\ncut off in the mid", "cut off"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----", "lQOY"),
        ("clone https://user:hunter22@git.example.com/x", "hunter22"),
        ("clone https://user:hunt@er22@git.example.com/x", "er22"),
        ("clone https://:hunter22@git.example.com/x", "hunter22"),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ("got eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl here", "eyJhbGciOiJI"),
        (f"{AWS} denied", AWS),
        ("aws_secret_access_key = wJalrXUtnFEMIK7MDENG", "wJalrXUtnFEMIK7MDENG"),
        ("AZURE_ACCOUNT_KEY=Zm9vYmFyYmF6", "Zm9vYmFyYmF6"),
        ("ghp_abcdefghij0123456789KLMN", "ghp_abcdefghij"),
        ("glpat-abcdefghij01234567", "glpat-abcdefghij"),
        (f"token is {SLACK}", SLACK),
        ("AGE-SECRET-KEY-1ABCDEFGHIJKLMNOPQRSTUVWX", "1ABCDEFGHIJ"),
        (f'postMessage failed: Post "{HOOK}": no such host', "XXXXXXXX"),
        ("Get https://discord.example.com/api/webhooks/1234/abcd_efgh: 401", "abcd_efgh"),
        ("Get https://b.s3.example.com/o?X-Amz-Signature=0123abcd&x=1: 403", "0123abcd"),
        ("password=hunter22", "hunter22"),
        ("passwd: secretword", "secretword"),
        ("db_password: 'secretword'", "secretword"),
        ('password: "correct horse battery"', "horse"),
        ('password: "cut off in the mid', "in the mid"),
        ('{"token": "s3cr3tvalue"}', "s3cr3tvalue"),
        ('{"pin-token": "abc"}', '"abc"'),
        ('{\\"password\\":\\"hunter22\\"}', "hunter22"),
        ('"password":"with \\" a quote in it"', "in it"),
        ("api-key = ABCDEFGH", "ABCDEFGH"),
        ("token: abc123def", "abc123def"),
        ("map[password:hunter22 user:ada]", "hunter22"),
        ("ran helm --password hunter22", "hunter22"),
        ("client_secret: abcdefghijklmnopqrst", "abcdefghijklmnopqrst"),
        ("apiVersion: v1\nkind: Secret\ndata:\n  user: YWRh\n  key: Zm9v\ntype: Opaque", "YWRh"),
        ("apiVersion: v1\nstringData:\n  user: ada\n  cert: |\n    -b-\nkind: Secret\n", "-b-"),
        ('{"data":{"user":"YWRh"},"kind":"Secret"}', "YWRh"),
        ('applied \\"kind\\":\\"Secret\\",\\"stringData\\":{\\"user\\":\\"ada\\"}', "ada"),
        ("data " + "QUJD" * 60, "QUJDQUJDQUJD"),
    ],
)  # fmt: skip
def test_a_secret_of_a_known_shape_is_taken_out(text, secret):
    assert secret in text
    assert secret not in redact(text)
    assert "[redacted" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Secret.v1 'ledger/ledger-api-token': failed to decrypt",
        'Secret.v1 "ledger-api-token": failed to decrypt',
        "decryption failed for 'Secret.v1.[noGrp]/ledger-api-token': failed to decrypt",
        "failed to decrypt and format 'vaultsync/ledger-api-token' Secret data: cannot get sops data key",
        "locations 'SOPS_AGE_SSH_PRIVATE_KEY_FILE', '$HOME/.ssh/id_ed25519'",
        "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun: FAILED",
        "Secret/ledger/ledger-api-token dry-run failed: denied by policy",
        "Secret/ledger/ledger-api-token created",
        "Secret/apps/db-password: forbidden",
        'secret "db-password": not found',
        'secrets "db-password" is forbidden: User "system:serviceaccount:a:b" cannot get resource "secrets"',
        "substitute from 'Secret/token-vars' error: secrets \"token-vars\" not found",
        "failed to get token: unauthorized",
        "the token is not valid: expired",
        "the flag --token is required",
        "token: sha256:" + "0123456789abcdef" * 4,
        "Applied revision: main@sha1:0123456789abcdef0123456789abcdef01234567",
        "stored artifact with digest sha256:" + "0123456789abcdef" * 4,
        "unable to clone 'ssh://git@github.com/org/repo': knownhosts: key mismatch",
        "https://charts.example.com/index.yaml: 404 Not Found",
        'Get "https://127.0.0.1:18099/v2/": dial tcp 127.0.0.1:18099: connect: connection refused',
        "basic authentication failed",
        "kind: ConfigMap\ndata:\n  colour: blue",
    ],
)
def test_an_ordinary_message_is_left_alone(text):
    assert redact(text) == text


def test_what_stands_beside_a_secret_is_kept():
    assert redact("login failed: password=hunter22, user=ada") == "login failed: password=[redacted:value], user=ada"
    assert redact('{"password":"hunter22","user":"ada"}') == '{"password":"[redacted:value]","user":"ada"}'
    assert redact('{"kind":"Secret","data":{"a":"Yg=="},"type":"Opaque"}') == (
        '{"kind":"Secret","data":"[redacted:secret-data]","type":"Opaque"}'
    )
    assert (
        redact("kind: Secret\ndata:\n  a: Yg==\ntype: Opaque")
        == "kind: Secret\ndata: [redacted:secret-data]\ntype: Opaque"
    )
    assert redact(f"a\n{KEY}\nb") == "a\n[redacted:private-key]\nb"


def test_a_key_without_its_end_takes_nothing_behind_its_quote():
    assert json.loads(redact('{"a":"-----BEGIN PRIVATE KEY-----\\\\nMIIB","b":"kept"}'))["b"] == "kept"


@pytest.mark.timeout(30)  # backtracking over this much takes minutes
@pytest.mark.parametrize(
    "word",
    [
        "eyJaaaaa-",
        "token ",
        "password='",
        "://a:",
        "-----BEGIN PRIVATE KEY-----",
        "a" * 199 + " ",
        '"data":{',
        "data:\n ",
    ],
)
def test_hostile_text_is_read_in_linear_time(word):
    assert redact("kind: Secret " + word * (400_000 // len(word))).startswith("kind: Secret ")


def test_json_is_redacted_string_by_string_and_its_shape_stays():
    value = {
        "kind": "Deployment",
        "replicas": 3,
        "ready": True,
        "note": None,
        "env": [
            {"name": "DB_PASSWORD", "value": "hunter22"},
            {"name": "COLOUR", "value": "blue"},
            {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "api-token", "key": "token"}}},
        ],
        "apiKey": "k",
        "token": "",
        "accessKey": {"name": "aws", "url": "https://u:hunter22@host"},
        "digest/token": "sha256:" + "0123456789abcdef" * 4,
    }
    assert redact_json(value) == value | {
        "env": [{"name": "DB_PASSWORD", "value": "[redacted:value]"}, *value["env"][1:]],  # type: ignore[index]
        "apiKey": "[redacted:value]",
        "accessKey": {"name": "aws", "url": "https://[redacted:userinfo]@host"},
    }


def test_the_data_of_a_secret_keeps_its_keys():
    secret = {"kind": "Secret", "metadata": {"name": "db-token"}, "data": {"user": "YWRh", "n": 1}, "stringData": None}
    assert redact_json(secret) == secret | {"data": {"user": "[redacted:value]", "n": 1}}


PIECES = st.sampled_from(
    [
        "password", "token", "client_secret", "=", ":", ": ", '"', "'", '\\"', " ", "\n", "{", "}", "[", "kind: Secret",
        '"kind":"Secret"', "data", '"data":{', "  a: b", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----",
        "https://", "user", "@", "Bearer ", "eyJabcdef.", "abcdef.", AWS, "ghp_abcdefghij0123456789", SLACK, "hunter22",
        "--token ", "/", "-", ".", "A" * 200, "AGE-SECRET-KEY-1" + "A" * 25, "?sig=", "&", "\\", HOOK, "[redacted",
    ]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_redacting_twice_is_redacting_once(text):
    assert redact(redact(text)) == redact(text)


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
WORD = st.text(LETTERS, min_size=20, max_size=40).map(lambda word: "Q7" + word)
PLANTS = st.sampled_from(
    [
        "password={}", "DB_PASSWORD: {}", '"password":"{}"', '{{"client_secret": "{}"}}', "token={}", "api_key='{}'",
        '\\"token\\":\\"{}\\"', "https://bot:{}@git.example.com/x", "Authorization: Bearer {}",
        "authorization: basic {}",
        "ghp_{}", "glpat-{}", "xoxb-{}", "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----",
        "kind: Secret\ndata:\n  x: {}", '{{"kind":"Secret","data":{{"x":"{}"}}}}', "aws_secret_access_key={}",
        "eyJ{0}.{0}.{0}", "https://hooks.slack.com/services/T0/B0/{}", "map[token:{} user:ada]",
    ]
)  # fmt: skip
AROUND = st.sampled_from(
    ["", "failed: ", "Secret/apps/api-token dry-run failed: ", "x\n", "(", '{"a":"', "é ", "token: none, "]
)


@given(WORD, PLANTS, AROUND, st.sampled_from(["", " ", "\n", "; retrying", '"}', ")", ", again"]))
def test_f082_a_planted_secret_never_passes_wherever_it_stands(secret, plant, before, after):
    planted = plant.format(secret)
    assert secret not in redact(before + planted + after)
    assert secret not in json.dumps(redact_json({"status": {"conditions": [{"message": before + planted + after}]}}))


@given(st.text(st.characters(categories=["L", "N"]), min_size=4, max_size=40), st.text(max_size=50))
def test_a_password_beside_its_name_never_passes(secret, around):
    assert f"password={secret}" not in redact(f"{around} password={secret}")


KINDS = st.sampled_from(["Secret", "ConfigMap", "HelmRelease", "ServiceAccount"])
NAMES = st.sampled_from(
    ["api-token", "db-password", "ledger-client-secret", "token", "my-secret-key", "aws-access-key"]
)
SAYINGS = st.sampled_from(
    [
        "{kind}/{ns}/{name} dry-run failed: denied by policy", "{kind}/{name}: not found", '{kind}.v1 "{name}": failed',
        "{kind}.v1.[noGrp]/{name}: failed to decrypt", "{kind} '{ns}/{name}' is not ready: timed out",
        '{kind}s "{name}" not found', "{kind}/{ns}/{name} configured", "dependency '{ns}/{name}' is not ready",
        "health check failed after 30s: timeout waiting for: [{kind}/{ns}/{name} status: 'InProgress']",
    ]
)  # fmt: skip


@given(KINDS, NAMES, SAYINGS, st.sampled_from(["ledger", "tokens", "passwords"]))
def test_an_object_named_after_a_secret_keeps_its_name(kind, name, saying, ns):
    text = saying.format(kind=kind, name=name, ns=ns)
    assert redact(text) == text
