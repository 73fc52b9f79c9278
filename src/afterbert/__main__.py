"""`python -m afterbert`, as torchrun wants it."""

from afterbert.cli.main import main

if __name__ == "__main__":
    main()
