"""Files on disk: which lie in a folder, and which one a list means. Names compare in one Unicode form."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path


def nfc(name: str) -> str:
    """A name in Unicode's composed form (NFC): macOS hands out decomposed names, lists are mostly composed."""
    return unicodedata.normalize("NFC", name)


def files(folder: str | Path, suffixes: Collection[str]) -> list[Path]:
    """All files under a folder whose suffix, in lower case, is one of `suffixes`, in order of their paths.

    Linked folders are followed, and each folder is read once. Left out are names that begin with a dot (`._1.jpg` of
    macOS) and `__MACOSX`. A link that leads nowhere is a file that whoever reads it will miss.
    """
    names = (Path(place, name) for place, names in _folders(Path(folder)) for name in names if not name.startswith("."))
    found = (path for path in names if path.suffix.lower() in suffixes)
    return sorted(path for path in found if os.path.isfile(path) or not os.path.exists(path))  # noqa: PTH110, PTH113  which never raise


def _folders(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder under the root with the names in it, each once; those that are linked to after all others, and none
    that holds the root itself."""
    seen, queue, inmost = set(), [str(root)], root.resolve()
    for top in queue:
        if top != str(root) and inmost.is_relative_to(Path(top).resolve()):
            continue
        for place, folders, names in os.walk(top):
            real = os.path.realpath(place)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
            queue += [str(path) for path in (Path(place, name) for name in folders) if path.is_symlink()]
            yield place, names


class Finder:
    """Finds listed files as they are on disk, where names may differ in case or Unicode form, at any depth.

    Folders are read once: keep one finder for all files of a list.
    """

    def __init__(self) -> None:
        self._places: dict[Path, Path | None] = {}
        self._entries: dict[Path, dict[str, Path]] = {}

    def find(self, path: str | Path) -> str | None:
        """The file's path on disk; None without one."""
        path = Path(path)
        try:
            if path.is_file():
                return str(path)
            folder = self._folder(path.parent)
            found = folder and self._entry(folder, path.name)
            return str(found) if found and found.is_file() else None
        except (OSError, ValueError):  # a name that no file can have
            return None

    def _folder(self, path: Path) -> Path | None:
        if path not in self._places:
            if path.is_dir():
                self._places[path] = path
            else:
                above = self._folder(path.parent) if path.parent != path else None
                found = above and self._entry(above, path.name)
                self._places[path] = found if found and found.is_dir() else None
        return self._places[path]

    def _entry(self, folder: Path, name: str) -> Path | None:
        if folder not in self._entries:
            there = {nfc(path.name): path for path in folder.iterdir()}
            self._entries[folder] = {name.lower(): path for name, path in there.items()} | there
        return self._entries[folder].get(nfc(name)) or self._entries[folder].get(nfc(name).lower())
