"""Adds photographs to a base until it is killed, and tells of each batch that is acknowledged."""

import itertools
import sys
from pathlib import Path

from pet_rows import pet_row

from auxreid.lostpets.base.base import Base

BATCH = 5

if __name__ == "__main__":
    base = Base.open(Path(sys.argv[1]), writable=True)
    for start in itertools.count(int(sys.argv[2]), BATCH):
        rows = [pet_row(number) for number in range(start, start + BATCH)]
        base.add(rows)
        print(*(row.frame for row in rows), flush=True)
