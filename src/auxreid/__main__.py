"""`python -m auxreid`, where the command itself is not on PATH."""

from auxreid.cli import main

if __name__ == "__main__":
    main()
