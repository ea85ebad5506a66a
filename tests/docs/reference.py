"""Write the pages that are made from the program: `make reference`. A test compares them with what is committed."""

from tests.docs.commands import commands_page
from tests.docs.keys import configuration_page
from tests.docs.shown import DOCS

PAGES = {"configuration.md": configuration_page, "commands.md": commands_page}


def main() -> None:
    """Write them."""
    for name, made in PAGES.items():
        (DOCS / name).write_text(made())


if __name__ == "__main__":
    main()
