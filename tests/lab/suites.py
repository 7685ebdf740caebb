# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packages of a suite newer than the machine's own, from where the machine's own come, without touching what is installed.

apt runs with lists, a cache and a source list of its own, and a status file that says that nothing is installed.
"""
import re
import shutil
from pathlib import Path

from build import Unreachable, out_dir, run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def _origin() -> str:
    """The archive that this machine's sources of the distribution's name. (Of a machine whose lists were never fetched, too.)"""
    text = run("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages",
               failure=Unreachable)
    rows = [line.split(" ", 1) for line in text.splitlines() if " " in line]
    for wanted in ("Debian", ""):
        for label, uri in rows:
            if label == wanted and uri.rstrip("/").endswith("/debian"):
                return uri
    raise Unreachable("this machine's sources name no archive of Debian's: newer suites cannot be had")


class Suite:
    """One suite's package index, fetched when this is made; with that of another one, if it has no more than a part."""

    def __init__(self, name: str, rest: str = "") -> None:
        self.name = name
        home = out_dir() / "suites" / (name + (f"+{rest}" if rest else ""))
        shutil.rmtree(home, ignore_errors=True)
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (home / folder).mkdir(parents=True)
        (home / "status").write_text("")
        suites = [name] + ([rest] if rest else [])
        (home / "sources.list").write_text("".join(f"deb [signed-by={KEYRING}] {_origin()} {suite} main\n" for suite in suites))
        settings = {
            "Dir::State": home / "state", "Dir::State::status": home / "status", "Dir::Cache": home / "cache",
            "Dir::Etc::sourcelist": home / "sources.list", "Dir::Etc::sourceparts": "-",
            "APT::Default-Release": name, "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "-",
            # An archive that keeps a suite as it was some weeks ago keeps its old date too.
            "Acquire::Check-Valid-Until": "false", "Acquire::Languages": "none",
            # Without this apt drops to a user of its own that may not write into the build folder.
            "APT::Sandbox::User": "root"}
        # APT_CONFIG would be read before the machine's own settings and lose to them; -c is read after.
        self._config = home / "apt.conf"
        self._config.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
        run("apt-get", "-c", self._config, "-q", "update", failure=Unreachable)

    def names(self, pattern: str) -> list[str]:
        """Every package whose whole name matches."""
        return [name for name in run("apt-cache", "-c", self._config, "pkgnames").split() if re.fullmatch(pattern, name)]

    def depends(self, package: str, pattern: str) -> list[str]:
        """The package's dependencies whose names match."""
        text = run("apt-cache", "-c", self._config, "depends", "--important", package, failure=Unreachable)
        return [name for name in re.findall(r"Depends: (\S+)", text) if re.fullmatch(pattern, name)]

    def installed_with(self, package: str) -> list[str]:
        """All that would be installed with the package where nothing is."""
        text = run("apt-get", "-c", self._config, "-s", "--no-install-recommends", "install", package, failure=Unreachable)
        return re.findall(r"^Inst (\S+)", text, re.M)

    def download(self, names: list[str], folder: Path) -> None:
        """Fetch packages into a folder."""
        run("apt-get", "-c", self._config, "-q", "download", *names, cwd=folder, failure=Unreachable)
