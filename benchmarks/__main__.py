"""Run benchmarks by name, or all: ``python -m benchmarks [NAME …]``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil

import benchmarks

from . import machine


def main() -> None:
    """Print each benchmark's table under a description of the machine."""
    names = [
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if module.name not in ("__main__", "machine", "released")
    ]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--data", metavar="FOLDER", help="Labelled images, where one needs them."
    )
    parser.add_argument(
        "--runs", type=int, default=machine.RUNS, help="Repeats; 1 is a trial."
    )
    arguments = parser.parse_args()
    machine.RUNS = arguments.runs
    unknown = set(arguments.names) - set(names)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    print(machine.describe(), end="\n\n")
    for name in arguments.names or names:
        module = importlib.import_module(f"benchmarks.{name}")
        if module.NEEDS_DATA and not arguments.data:
            print(f"{name}: needs --data FOLDER\n")
            continue
        table = module.run(arguments.data) if module.NEEDS_DATA else module.run()
        print(f"## {name}\n\n{table}\n")


if __name__ == "__main__":
    main()
