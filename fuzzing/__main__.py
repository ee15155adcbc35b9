"""``python -m fuzzing readers|input|killed|viewer``: see ``--help``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from .killed import SCENARIOS, kill
from .readers import READERS
from .runs import Finding, Report, make_input, try_readers


def main() -> int:
    """Run what the arguments say; return 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__)
    commands = parser.add_subparsers(required=True)

    readers = commands.add_parser("readers", help="Damaged files for every reader.")
    readers.add_argument("names", nargs="*", metavar="READER", help=", ".join(READERS))
    readers.add_argument("--seed", type=int, default=0)
    readers.add_argument("--first", type=int, default=0, help="Input to begin with.")
    readers.add_argument(
        "--inputs", type=int, help="Of each reader; by default as documented."
    )
    readers.set_defaults(run=_readers)

    one = commands.add_parser("input", help="Write one input of a reader to a file.")
    one.add_argument("name", metavar="READER", choices=READERS)
    one.add_argument("index", type=int)
    one.add_argument("folder", type=Path)
    one.add_argument("--seed", type=int, default=0)
    one.set_defaults(run=_input)

    killed = commands.add_parser("killed", help="Work that is killed with kill -9.")
    killed.add_argument("names", nargs="*", metavar="WORK", help=", ".join(SCENARIOS))
    killed.add_argument("--times", type=int, default=50)
    killed.add_argument("--seed", type=int, default=0)
    killed.set_defaults(run=_killed)

    viewer = commands.add_parser("viewer", help="Random actions in a real viewer.")
    viewer.add_argument("--seed", type=int, default=0)
    viewer.add_argument("--actions", type=int, default=2000)
    viewer.set_defaults(run=_viewer)

    arguments = parser.parse_args()
    return int(arguments.run(arguments))


def _readers(arguments: argparse.Namespace) -> int:
    unknown = set(arguments.names) - set(READERS)
    if unknown:
        raise SystemExit(f"There is no reader {', '.join(sorted(unknown))}.")
    print(f"Seed {arguments.seed}\n\n{HEAD}", flush=True)
    findings = []
    for name in arguments.names or READERS:
        count = arguments.inputs or READERS[name].inputs
        (report,) = try_readers([name], arguments.seed, count, arguments.first, _tell)
        print(row(report), flush=True)
        findings += report.findings
    for finding in findings:
        print(_line(finding))
    return int(bool(findings))


def _line(finding: Finding) -> str:
    return f"- {finding.reader} {finding.index}: {finding.kind}: {finding.said}"


def _tell(finding: Finding) -> None:
    """Say at once what a long run will list at its end."""
    print(_line(finding), file=sys.stderr, flush=True)


HEAD = (
    "| reader | inputs | read | refused | errors | crashes | hangs | memory "
    "| slowest input | peak | minutes |\n" + "| --- |" + " ---: |" * 10
)


def row(report: Report) -> str:
    """Return a reader's row of the table."""
    kinds = Counter(finding.kind for finding in report.findings)
    cells = [
        report.reader,
        f"{report.inputs:,}",
        f"{report.read:,}",
        f"{report.refused:,}",
        *(str(kinds[kind]) for kind in ("error", "crash", "hang", "memory")),
        f"{report.slowest:.2f} s",
        f"{report.peak / 2**20:.0f} MB",
        f"{report.seconds / 60:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _killed(arguments: argparse.Namespace) -> int:
    unknown = set(arguments.names) - set(SCENARIOS)
    if unknown:
        raise SystemExit(f"There is no work {', '.join(sorted(unknown))}.")
    print(
        f"Seed {arguments.seed}\n\n| work | killed | ended before | faults | minutes |"
    )
    print("| --- | ---: | ---: | ---: | ---: |", flush=True)
    faults = []
    for name in arguments.names or SCENARIOS:
        report = kill(name, arguments.times, arguments.seed)
        counts = f"{report.kills} | {report.ended} | {len(report.faults)}"
        print(f"| {name} | {counts} | {report.seconds / 60:.1f} |", flush=True)
        faults += [f"- {name}: {fault}" for fault in report.faults]
    print("\n".join(faults))
    return int(bool(faults))


def _viewer(arguments: argparse.Namespace) -> int:
    from . import driver

    report = driver.main(arguments.actions, arguments.seed)
    start, most, end = (size >> 20 for size in report.memory)
    done = sum(report.actions.values())
    print(f"Seed {arguments.seed}: {done} actions of {len(report.actions)} kinds")
    print(f"{report.refused} refused in a sentence; {report.seconds / 60:.1f} minutes")
    print(f"Memory: {start} MB at the start, {most} MB at most, {end} MB at the end")
    print(f"GUI thread busy for over 0.2 s by us: {len(report.blocks)} times")
    for seconds, where in sorted(report.blocks, reverse=True)[:20]:
        print(f"- {seconds:.2f} s: {where}")
    longest = max(report.blocks_of_napari, default=0)
    print(
        "By napari and Qt alone, layers that come and go too: "
        f"{len(report.blocks_of_napari)} times, {longest:.2f} s the longest"
    )
    long = [seconds for seconds in report.garbage if seconds > driver.LONGEST_BLOCK]
    print(
        f"Looking for garbage, counted in none of these: over {driver.LONGEST_BLOCK} s "
        f"{len(long)} times, {max(report.garbage, default=0):.2f} s the longest"
    )
    print(f"Findings: {len(report.findings)}")
    for finding, times in Counter(report.findings).most_common():
        print(f"- {finding} (×{times})")
    return int(bool(report.findings or report.blocks))


def _input(arguments: argparse.Namespace) -> int:
    content, seed_name = make_input(arguments.name, arguments.seed, arguments.index)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(READERS[arguments.name].put(content, seed_name, arguments.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
