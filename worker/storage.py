"""Where exported letters are put: a folder, S3, or whatever else fsspec knows.

A storage may be away, refuse, or be slow without end. Each object has its seconds, in a thread that is left
behind when they are over. What a storage says may hold keys and addresses, so only the kind of an error is
told.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from config import storage
from worker.errors import ConfigurationError, NarrowsError
from worker.redaction import mask_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from config.settings import Settings

__all__ = ["Storage", "StorageFailed", "chosen"]

T = TypeVar("T")
CHUNK = 1 << 20
_S3 = ("s3", "s3a")
_SAID = {
    "FileNotFoundError": "there is no such bucket or folder",
    "PermissionError": "it refuses our credentials, or writing there",
    "NoCredentialsError": "no credentials are set",
    "TokenRetrievalError": "no credentials are set",
    "EndpointConnectionError": "it cannot be reached",
    "ConnectTimeoutError": "it cannot be reached",
    "ConnectionRefusedError": "it cannot be reached",
    "ImportError": "its driver is not installed; for s3:// that is the extra narrows[s3]",
    "ModuleNotFoundError": "its driver is not installed; for s3:// that is the extra narrows[s3]",
}


class StorageFailed(NarrowsError):
    """The storage for exports did not take an object."""

    code = "storage_failed"


class Storage:
    """A place for objects.

    Args:
        address: ``s3://bucket/prefix``, ``file:///folder``, …
        options: What fsspec's file system takes, as an ``endpoint_url``; credentials come from the usual
            environment of the storage's own client.
        patience: Seconds that one object may take, from the first byte to the confirmation.
    """

    def __init__(
        self, address: str, options: Mapping[str, object] | None = None, *, patience: float = 30.0
    ) -> None:
        self._address, self._patience = storage.understood(address), patience
        self._scheme, _, place = self._address.partition("://")
        self._options = dict(options or {})
        self._root = place if self._scheme == "file" else self._address

    def __repr__(self) -> str:
        """Where it is, without what may be secret."""
        return f"<Storage {self.place}>"

    @property
    def place(self) -> str:
        """Its address without a password."""
        return mask_url(self._address)

    def keep(self, name: str, content: bytes) -> str:
        """Where *content* lies under *name*, once it was written and read back whole.

        The same name again is written over.

        Raises:
            StorageFailed: Nobody knows whether it is there; with the kind of the error and no secret.
        """
        path = f"{self._root}/{name}"
        self._within(lambda: self._kept(path, content))
        return f"{self.place}/{name}"

    def _kept(self, path: str, content: bytes) -> None:
        files = self._files()
        try:
            self._confirmed(files, path, content)
        finally:
            _let_go(files)

    def _confirmed(self, files: Any, path: str, content: bytes) -> None:
        if self._scheme == "file":
            _write_whole(Path(path), content)
        else:
            files.pipe_file(path, content)
        files.invalidate_cache()
        size = int(files.info(path)["size"])
        if size != len(content) or _digest(files, path, size) != hashlib.sha256(content).digest():
            raise StorageFailed(f"{self.place}: an object was read back otherwise than it was written")

    def _files(self) -> Any:
        import fsspec  # type: ignore[import-untyped]

        options = {**self._bounds(), **self._options}
        return fsspec.filesystem(self._scheme, skip_instance_cache=True, **options)

    def _bounds(self) -> dict[str, object]:
        """The client's own time-outs, where it is known to have some."""
        if self._scheme not in _S3:
            return {}
        patience = max(1.0, self._patience / 3)
        bounds = {
            "connect_timeout": min(5.0, patience),
            "read_timeout": patience,
            "retries": {"max_attempts": 2},
        }
        return {"config_kwargs": bounds, "use_listings_cache": False}

    def _within(self, work: Callable[[], T]) -> T:
        """What *work* returns, within our patience."""
        results: list[T] = []
        failures: list[BaseException] = []

        def run() -> None:
            try:
                results.append(work())
            except BaseException as why:  # noqa: BLE001 - whatever a driver raises is told in our words
                failures.append(why)

        thread = threading.Thread(target=run, daemon=True, name="storage")
        thread.start()
        thread.join(self._patience)
        if thread.is_alive():
            raise StorageFailed(f"{self.place}: no answer within {self._patience:g} s")
        if failures:
            raise self._told(failures[0])
        return results[0]

    def _told(self, why: BaseException) -> StorageFailed:
        """*why* in words that hold no secret."""
        if isinstance(why, StorageFailed):
            return why
        kind = type(why).__name__
        said = _SAID.get(kind)
        if isinstance(why, ValueError) and kind == "ValueError":
            said = "it does not know such addresses or options"
        return StorageFailed(f"{self.place}: {said} ({kind})" if said else f"{self.place}: {kind}")


def chosen(settings: Settings, address: str | None = None) -> Storage | None:
    """The storage of *address*, or of the settings; None when neither names one.

    Raises:
        ConfigurationError: *address* names no place.
    """
    said = settings.export_options
    options = storage.options(said.get_secret_value()) if said else {}
    if address is None and settings.export_to is not None:
        address = settings.export_to.get_secret_value()
    try:
        return None if address is None else Storage(address, options)
    except ValueError as wrong:
        raise ConfigurationError(str(wrong)) from None


def _let_go(files: Any) -> None:
    """Close the connections of an S3 client, which would leave them to the collector."""
    if (client := getattr(files, "_s3creator", None)) is not None:
        from fsspec.asyn import sync  # type: ignore[import-untyped]

        sync(files.loop, client.__aexit__, None, None, None, timeout=5)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is whole whenever it is there, on disk before anybody relies on it.

    Arguments may lie in it in clear, so it is for its owner alone, as are folders that are made for it.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(made):
        folder.mkdir(mode=0o700, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with open(part, "xb", opener=_private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    for folder in (path.parent, *(each.parent for each in made)):
        _settle(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _settle(folder: Path) -> None:
    """Have the names in *folder* on disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(files: Any, path: str, size: int) -> bytes:
    """The SHA-256 of an object as it lies there."""
    found = hashlib.sha256()
    for start in range(0, size, CHUNK):
        found.update(files.cat_file(path, start=start, end=min(size, start + CHUNK)))
    return found.digest()
