"""`python -m compat_tests.differential`: FlyMQ and Apache Kafka asked the same, until they differ or time is over."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from compat_tests.differential.run import SEEDS, both_brokers, save, search
from flymq_protocol.registry import API


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m compat_tests.differential", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of the first sequence; the others count on from it")
    parser.add_argument("--requests", type=int, default=10**9)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--findings", type=int, default=1, help="stop after so many")
    parser.add_argument("--save", type=Path, default=SEEDS, metavar="DIR", help="for shrunk sequences that differ")
    options = parser.parse_args()
    with both_brokers() as brokers:
        began = time.monotonic()
        found = search(
            brokers, options.seed, options.requests, options.seconds, options.threads, options.findings
        )  # fmt: skip
        took = time.monotonic() - began
        count = brokers.seen.total()
        everything, asked, well = brokers.coverage()
        by_place = {finding.differences[0].partition(":")[0]: (seed, finding) for seed, finding in reversed(found)}
        for seed, finding in by_place.values():
            shrunk = brokers.shrink(finding)
            save(options.save / f"{seed}.json", shrunk)
            print(f"seed {seed}, {len(finding.steps)} requests, shrunk to {len(shrunk.steps)}:")
            print("  " + "\n  ".join(shrunk.differences))
            print(f"  after {shrunk.steps[-1]}", flush=True)
        for seed, finding in brokers.not_again:
            print(f"seed {seed} differed once, not again: {finding.differences[0]}\n  after {finding.steps[-1]}")
    print(f"{count} requests of {len(brokers.seeds)} seeds to both in {took:.0f} s; {len(found)} sequences differ")
    print(f"APIs x versions: {len(asked)} of {len(everything)} asked, {len(well)} answered without an error")
    missing = {"never asked": set(everything) - set(asked), "never without an error": set(asked) - set(well)}
    for title, pairs in missing.items():
        if pairs:
            print(f"  {title}: " + ", ".join(f"{API[key].name} v{version}" for key, version in sorted(pairs)))
    return 1 if found else 0


sys.exit(main())
