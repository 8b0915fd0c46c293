"""`python -m ingestor` is `ha-ingestor`; it decides nothing itself."""

from ingestor.cli.main import main

if __name__ == "__main__":
    main()
