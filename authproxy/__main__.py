"""`python -m authproxy`."""

from authproxy.cli import main

if __name__ == "__main__":
    main()
