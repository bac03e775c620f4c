"""The sizes of a benchmark on its command line, for a try at small ones."""

import argparse


def read_sizes(description: str, **defaults: int) -> dict[str, int]:
    """Sizes by name, as `--queries 60` gives them, else these."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    return vars(parser.parse_args())
