"""Keys and certificates for tests, made here, in PEM files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

__all__ = ["Pair", "pair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Files of a private key and its own certificate."""

    key: Path
    cert: Path

    def env(self, trusted: Path) -> dict[str, str]:
        """The settings of who signs with it and takes what the certificates in *trusted* vouch for."""
        return {
            "NARROWS_SIGNING__KEY_FILE": str(self.key),
            "NARROWS_SIGNING__CERT_FILE": str(self.cert),
            "NARROWS_SIGNING__CERTS": str(trusted / "*.pem"),
        }


def pair(
    folder: Path,
    name: str,
    *,
    ends_in: timedelta = timedelta(days=30),
    began: timedelta = timedelta(days=365),
    bits: int = 2048,
    password: str = "",
    curve: bool = False,
) -> Pair:
    """A key in *folder*, readable by its owner only, and a certificate that it signed itself."""
    folder.mkdir(exist_ok=True)
    made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    made = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - began)
        .not_valid_after(now + ends_in)
        .sign(made, hashes.SHA256())
    )
    lock = (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    files = Pair(key=folder / f"{name}.key", cert=folder / f"{name}.pem")
    files.key.touch(mode=0o600)
    files.key.write_bytes(made.private_bytes(*kinds, lock))
    files.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    return files
