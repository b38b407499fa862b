"""``python -m tools.lives``: live many lives, and print those that went wrong."""

import argparse
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tools.lives.life import live


def main() -> int:
    """Live lives and print what went wrong."""
    parser = argparse.ArgumentParser(description="Live random lives of projects.")
    parser.add_argument("--lives", type=int, default=300, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    started = time.monotonic()
    total: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="patterns-lives-") as name:
        scratch = Path(name).resolve()
        numbers = range(options.first, options.first + options.lives)
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
            for counted, faults in pool.map(live, numbers, itertools.repeat(scratch)):
                total += counted
                wrong += bool(faults)
                if faults:
                    print("\n  ".join(faults), flush=True)
    minutes = (time.monotonic() - started) / 60
    told = ", ".join(f"{count} {what}" for what, count in total.items())
    print(f"{told}; {wrong} went wrong; {minutes:.1f} minutes")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
