"""Signed messages: whose key signs, and whose signatures are taken.

Celery's own ``auth`` serializer does it, for tasks and for control commands. What it leaves open is closed
here (certificates that are not valid yet, keys that do not fit, a store that one expired certificate stops,
a body that is read as something else than it was) and in :mod:`worker.signing.binding` (the headers).
"""

from __future__ import annotations

import glob
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery.exceptions import SecurityError
from celery.security.certificate import Certificate, CertStore
from celery.security.key import PrivateKey
from celery.security.serialization import SecureSerializer
from kombu.serialization import registry

from config.signed import CONTENT, SERIALIZER
from worker.errors import ConfigurationError

if TYPE_CHECKING:
    from config.settings import Settings
    from config.signing import Signing

__all__ = ["days_left", "install"]

logger = logging.getLogger("narrows")

LEAST_BITS = 2048
SKEW = timedelta(minutes=5)
"""By how much a signer's clock may be ahead of that which made the certificate."""

_INSIDE = ("application/json", "utf-8")
"""Type and encoding of every body that is signed."""

_STRANGERS = 0o007
_WRITERS = 0o022


class _Serializer(SecureSerializer):
    """Celery's serializer, which reads what was signed as what it was when it was signed.

    The signature is the body's alone, and the body's type and encoding lie beside it, where others can
    change them: read as ``unicode_escape``, a quotation mark within an argument would end the argument; and
    Celery reads pickle here, too, whatever ``accept_content`` says.
    """

    def _unpack(self, payload: Any, *more: Any) -> dict[str, Any]:
        parts: dict[str, Any] = super()._unpack(payload, *more)
        if (parts["content_type"], parts["content_encoding"]) != _INSIDE:
            raise SecurityError("Unexpected content")
        return parts


class _Signer(Certificate):
    """A certificate that is good for signatures in its own time only."""

    def verify(self, data: bytes, signature: bytes, digest: Any) -> None:
        if datetime.now(UTC) + SKEW < self._cert.not_valid_before_utc:
            raise SecurityError("Certificate is not valid yet")
        super().verify(data, signature, digest)


def install(settings: Settings) -> None:
    """Have this process sign with the key of *settings*, and trust the certificates that they name.

    Raises:
        ConfigurationError: A file is missing, is none, or does not fit the others; names the setting.
    """
    signing = settings.signing
    key = _key(signing, strict=settings.in_production)
    own, trusted = _certificate("CERT_FILE", str(signing.cert_file)), _trusted(signing)
    if own.get_pubkey() != key._key.public_key():  # noqa: SLF001 - Celery's class shows no public key
        raise _wrong("CERT_FILE", "is the certificate of another key")
    if own.has_expired():
        raise _wrong("CERT_FILE", f"has expired on {own._cert.not_valid_after_utc:%Y-%m-%d}")  # noqa: SLF001
    if all(own._cert != each._cert for each in trusted.itercerts()):  # noqa: SLF001
        raise _wrong("CERT_FILE", "is not among NARROWS_SIGNING__CERTS: nobody would take what it signs")
    signer = _Serializer(key, own, trusted, "sha256", serializer="json")
    registry.register(
        SERIALIZER, signer.serialize, signer.deserialize, content_type=CONTENT, content_encoding="utf-8"
    )


def days_left(settings: Settings) -> float | None:
    """Days for which what is signed here will be taken; None without signing."""
    if not settings.signing.wanted:
        return None
    own = _certificate("CERT_FILE", str(settings.signing.cert_file))
    left: timedelta = own._cert.not_valid_after_utc - datetime.now(UTC)  # noqa: SLF001
    return left.total_seconds() / 86_400


def _key(signing: Signing, *, strict: bool) -> PrivateKey:
    text, password = _text("KEY_FILE", str(signing.key_file)), signing.key_password
    mode = Path(str(signing.key_file)).stat().st_mode
    if mode & (_STRANGERS | _WRITERS):
        if strict:
            raise _wrong("KEY_FILE", "may be read or written by others: chmod 600, or 440 for its group")
        logger.warning("signing key open to others")
    try:
        key = PrivateKey(text, password=password and password.get_secret_value())
    except (SecurityError, TypeError, ValueError):
        raise _wrong(
            "KEY_FILE", "is no RSA private key, or NARROWS_SIGNING__KEY_PASSWORD is another's"
        ) from None
    if key._key.key_size < LEAST_BITS:  # noqa: SLF001
        raise _wrong("KEY_FILE", f"is too short: take {LEAST_BITS} bits or more")
    return key


def _trusted(signing: Signing) -> CertStore:
    """The certificates whose signatures are taken; those that have expired are left out."""
    store = CertStore()
    for path in sorted(glob.glob(str(signing.certs))):  # noqa: PTH207 - the pattern may be absolute
        if not Path(path).is_file():
            continue
        one = _certificate("CERTS", path)
        if one.has_expired():
            logger.warning("trusted certificate expired", extra={"file": Path(path).name})
            continue
        known = store._certs.get(one.get_id())  # noqa: SLF001
        if known is not None and known._cert != one._cert:  # noqa: SLF001
            raise _wrong("CERTS", f"{path} has the issuer and serial number of another certificate")
        store._certs[one.get_id()] = one  # noqa: SLF001
    if not store._certs:  # noqa: SLF001
        raise _wrong("CERTS", "names no certificate that is valid")
    return store


def _certificate(setting: str, path: str) -> _Signer:
    text = _text(setting, path)
    try:
        one = _Signer(text)
    except (SecurityError, ValueError):
        raise _wrong(setting, f"{path} is no certificate of an RSA key in PEM form") from None
    if one.get_pubkey().key_size < LEAST_BITS:
        raise _wrong(setting, f"{path} is of a key that is too short: take {LEAST_BITS} bits or more")
    return one


def _text(setting: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, ValueError) as why:
        said = getattr(why, "strerror", None) or "not PEM"
        raise _wrong(setting, f"{path} cannot be read: {said}") from None


def _wrong(setting: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"NARROWS_SIGNING__{setting}: {why}")
