"""Say before it is fetched when torch would be its large CUDA build for no GPU."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

CUDA = ("torch", "triton", "nvidia-")
"""What the CUDA build consists of, by the beginning of the names."""


def has_gpu() -> bool:
    """Tell whether a driver of a CUDA GPU is at work here."""
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia").exists()


def warning(python: Path, constraints: Path) -> str:
    """Return what to say of the torch that pip would install; empty: nothing.

    pip prefers a CPU build of the pinned version wherever the configured index has one,
    since its version, with ``+cpu``, is the higher one.
    """
    if not sys.platform.startswith("linux") or has_gpu() or _installed(python):
        return ""
    chosen = _resolved(python, constraints)
    large = [each for each in chosen if _name(each).startswith(CUDA)]
    if not any(_name(each).startswith("nvidia-") for each in large):
        return ""
    sizes = [_size(each) for each in large]
    said = f"{sum(sizes) / 1e9:.1f} GB" if all(sizes) else "several GB"
    return (
        f"== torch will be its CUDA build, {said} to fetch, though no GPU is found "
        "here. To avoid it stop this now (Ctrl+C) and set PIP_EXTRA_INDEX_URL to "
        "the index of CPU builds that pytorch.org names under “Start locally”, CPU"
    )


def _installed(python: Path) -> bool:
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)"
    return subprocess.run([str(python), "-c", code], check=False).returncode == 0


def _resolved(python: Path, constraints: Path) -> list[dict[str, Any]]:
    """Return pip's report of what it would install for torch."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--quiet", "--dry-run", "--report", "-", "-c", str(constraints)]
    done = subprocess.run([*command, "torch"], capture_output=True, check=False)
    try:
        return list(json.loads(done.stdout)["install"])
    except (ValueError, KeyError):
        return []  # pip itself will say what is wrong


def _name(item: dict[str, Any]) -> str:
    return str(item["metadata"]["name"]).lower()


def _size(item: dict[str, Any]) -> int:
    """Return how much would be fetched, in bytes; 0 if nobody says."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        asked = urllib.request.Request(item["download_info"]["url"], method="HEAD")
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.headers["Content-Length"])
    return 0
