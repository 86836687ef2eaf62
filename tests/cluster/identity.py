"""Keys of a throw-away control plane: its CA, the certificate of its API server, tokens and kubeconfigs.

Everything lies in one folder that goes when the plane goes. No client needs to skip the check of a certificate.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ADMIN = "system:masters"


@dataclass(frozen=True, slots=True)
class Identity:
    """The files of a plane's keys."""

    folder: Path
    admin_token: str

    @property
    def authority(self) -> Path:
        """The CA's certificate."""
        return self.folder / "ca.crt"

    @property
    def certificate(self) -> Path:
        """The API server's certificate."""
        return self.folder / "server.crt"

    @property
    def key(self) -> Path:
        """The key of the API server's certificate."""
        return self.folder / "server.key"

    @property
    def account_key(self) -> Path:
        """What tokens of service accounts are signed with."""
        return self.folder / "accounts.key"

    @property
    def account_public_key(self) -> Path:
        """What tokens of service accounts are verified with."""
        return self.folder / "accounts.pub"

    @property
    def tokens(self) -> Path:
        """The API server's file of fixed tokens."""
        return self.folder / "tokens.csv"

    def kubeconfig(self, server: str, name: str = "admin", *, token: str = "", token_file: Path | None = None) -> Path:
        """Write the kubeconfig of one user; without a token, the administrator's."""
        user = {"tokenFile": str(token_file)} if token_file else {"token": token or self.admin_token}
        found = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "plane", "cluster": {"server": server, "certificate-authority": str(self.authority)}}
            ],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": "plane", "user": name}}],
            "current-context": name,
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(found))
        return path


def make_identity(folder: Path) -> Identity:
    """Make all keys of a plane."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = Identity(folder, secrets.token_urlsafe(16))
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(identity.authority))
    server.cert_chain_pems[0].write_to_path(str(identity.certificate))
    server.private_key_pem.write_to_path(str(identity.key))
    account = ec.generate_private_key(ec.SECP256R1())
    identity.account_key.write_bytes(account.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = account.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    identity.account_public_key.write_bytes(public)
    identity.tokens.write_text(f'{identity.admin_token},admin,admin,"{ADMIN}"\n')
    return identity
