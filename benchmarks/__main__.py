"""Run benchmarks by name, or all: ``python -m benchmarks [NAME …]``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING

import benchmarks

from . import machine

if TYPE_CHECKING:
    from types import ModuleType

HELPERS = ("__main__", "machine", "released")


def main() -> None:
    """Print each benchmark's table under a description of the machine."""
    names = [
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if module.name not in HELPERS
    ]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--data", metavar="FOLDER", help="Labelled images, where one needs them."
    )
    parser.add_argument(
        "--runs", type=int, default=machine.RUNS, help="Repeats; 1 is a trial."
    )
    parser.add_argument(
        "--into",
        metavar="FILE",
        type=Path,
        help="Put the tables into this page as well, in place of earlier ones.",
    )
    arguments = parser.parse_args()
    machine.RUNS = arguments.runs
    unknown = set(arguments.names) - set(names)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    print(machine.describe(), end="\n\n", flush=True)
    for name in arguments.names or names:
        module = importlib.import_module(f"benchmarks.{name}")
        if module.NEEDS_DATA and not arguments.data:
            print(f"{name}: needs --data FOLDER\n", flush=True)
            continue
        load = machine.describe()
        table = module.run(arguments.data) if module.NEEDS_DATA else module.run()
        print(f"## {name}\n\n{table}\n", flush=True)
        if arguments.into:
            text = arguments.into.read_text("utf-8")
            text = put(text, name, section(module, load, table))
            arguments.into.write_text(text, "utf-8")


def section(module: ModuleType, described: str, table: str) -> str:
    """Return the section of a page about one benchmark: claim, comparison, table."""
    claim, *explained = (module.__doc__ or "").strip().split("\n\n")
    name = module.__name__.rpartition(".")[2]
    claim = claim.removeprefix("Claim: ")
    how = getattr(module, "HOW", f"{machine.RUNS} runs or more in turn, medians")
    parts = [
        f"### {claim[0].upper()}{claim[1:]}",
        *explained,
        f"`python -m benchmarks {name}`, {how}; {described}:",
        table,
    ]
    return "\n\n".join(parts)


def put(page: str, name: str, text: str) -> str:
    """Replace the part of a page that a benchmark wrote, or append it."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    block = f"{begin}\n{text}\n{end}"
    known = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if known.search(page):
        return known.sub(lambda _: block, page)
    return f"{page.rstrip()}\n\n{block}\n"


if __name__ == "__main__":
    main()
