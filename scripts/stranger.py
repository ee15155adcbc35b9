"""Try README's commands on a bare Debian 12, as somebody who knows nothing else.

    sudo python3 scripts/stranger.py FOLDER [--bind PATH ...] [-- PYTEST ARGUMENT ...]

Needs root and the Debian package debootstrap.  FOLDER gets a Debian of its own, made
the first time: what is essential there, Git, Python, and the certificates that Git
needs.  The last commit of this checkout is cloned into it, and in it

    python3 scripts/bootstrap.py demo --screenshot demo.png
    python3 scripts/bootstrap.py test

are run, with an empty home and no other setting; with arguments for pytest, which leave
out the rest, ``bootstrap.py docs`` as well.  `--bind` shows a path of this machine
there too, read only: where packages come from a folder, or a network has certificates
of its own, its files and pip's settings.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUITE = "bookworm"
PACKAGES = "ca-certificates,git,python3"
CHECKOUT = "root/napari-localdisc"
ENVIRON = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


def make_debian(folder: Path) -> None:
    """Make the bare system, if it is not there."""
    made = folder.with_name(f"{folder.name}.made")
    if made.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE]
    subprocess.run([*command, str(folder)], check=True)
    made.touch()


def clone(folder: Path) -> None:
    """Clone the last commit into the system, anew."""
    checkout = folder / CHECKOUT
    shutil.rmtree(checkout, ignore_errors=True)
    command = ["git", "clone", "--quiet", "--no-local", "--depth", "1"]
    subprocess.run([*command, ROOT.as_uri(), str(checkout)], check=True)


def mount(folder: Path, shown: list[Path]) -> None:
    """Mount what a running system has; ends with this process's own mounts."""
    for source, kind in (("proc", "proc"), ("sysfs", "sysfs")):
        place = folder / ("proc" if kind == "proc" else "sys")
        subprocess.run(["mount", "-t", kind, source, str(place)], check=True)
    subprocess.run(["mount", "--rbind", "/dev", str(folder / "dev")], check=True)
    shutil.copy("/etc/resolv.conf", folder / "etc" / "resolv.conf")
    for path in shown:
        place = folder / path.relative_to("/")
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        subprocess.run(["mount", "--bind", "-o", "ro", path, place], check=True)


def run(folder: Path, *arguments: str) -> int:
    """Run one of README's commands there; return its exit status."""
    inside = f'cd /{CHECKOUT} && exec "$@"'
    command = ["chroot", str(folder), "sh", "-c", inside, "sh", *arguments]
    print(f"== {' '.join(arguments)}", flush=True)
    begun = time.monotonic()
    done = subprocess.run(command, env=ENVIRON, check=False)
    minutes = (time.monotonic() - begun) / 60
    print(f"== exit status {done.returncode} after {minutes:.1f} minutes", flush=True)
    return done.returncode


def main() -> int:
    """Make, mount, clone, run; return 1 if something fails."""
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bind", nargs="*", type=Path, default=[], metavar="PATH")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked, tests = parser.parse_args(given[:at]), given[at + 1 :]
    folder = asked.folder.resolve()
    if not asked.inside:
        if os.geteuid() or not shutil.which("debootstrap"):
            parser.error("this needs root, and the Debian package debootstrap")
        make_debian(folder)
        clone(folder)
        own = ["unshare", "--mount", "--fork", sys.executable, __file__, *given[:at]]
        return subprocess.run([*own, "--inside", "--", *tests]).returncode
    mount(folder, [path.resolve() for path in asked.bind])
    start = ("python3", "scripts/bootstrap.py")
    failed = run(folder, *start, "demo", "--screenshot", "demo.png")
    failed |= not (folder / CHECKOUT / "demo.png").is_file()
    failed |= run(folder, *start, "test", *tests)
    if tests:
        failed |= run(folder, *start, "docs")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
