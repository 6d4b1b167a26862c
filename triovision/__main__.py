"""`python -m triovision`."""

from triovision.cli import main

if __name__ == "__main__":
    main(prog_name="triovision")
