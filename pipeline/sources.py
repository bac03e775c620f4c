"""DVC stage `sources`: a small file per stage with a hash of the code that it runs.

usage: python pipeline/sources.py
"""

import checkout

from auxreid.plumbing.graph.sources import write_sources

if __name__ == "__main__":
    write_sources(checkout.ROOT)
