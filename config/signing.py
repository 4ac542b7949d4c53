"""The settings that sign messages: a key, its certificate, and the certificates that are trusted."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

__all__ = ["Signing"]


class Signing(BaseModel):
    """Whether messages are signed, and by whom; all three files or none.

    Attributes:
        key_file: An RSA private key in PEM form, ``key_password`` its password.
        cert_file: Its certificate.
        certs: The certificates that are trusted, one in each file: a pattern, /etc/narrows/trusted/*.pem.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key_file: str | None = None
    key_password: SecretStr | None = None
    cert_file: str | None = None
    certs: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether messages are signed, and unsigned ones refused."""
        return self.key_file is not None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Half of it would sign and not verify, or the other way round."""
        parts = {"KEY_FILE": self.key_file, "CERT_FILE": self.cert_file, "CERTS": self.certs}
        missing = [f"NARROWS_SIGNING__{name}" for name, value in parts.items() if value is None]
        if missing and (len(missing) < len(parts) or self.key_password is not None):
            raise ValueError(f"signing needs {' and '.join(missing)}, too")
        return self
