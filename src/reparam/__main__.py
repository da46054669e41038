"""``python -m reparam`` is the ``reparam`` command."""

from reparam.cli import main

if __name__ == "__main__":
    main()
