"""`authproxy schema`: the JSON Schema of the configuration, with the kinds of catalogs and session stores that are installed here."""

import json

import click


@click.command()
def command() -> None:
    """Print the configuration's JSON Schema.

    \b
    Example:  authproxy schema > authproxy.schema.json

    Editors complete and check the configuration with it, where this is its first line:

    \b
      # yaml-language-server: $schema=authproxy.schema.json

    It knows shapes and spellings; `authproxy check` also knows whether names exist, and reads the files that are named.
    """
    from authproxy.catalogs.registry import kinds as catalog_kinds
    from authproxy.sessions.registry import kinds as session_kinds
    from authproxy.settings import json_schema

    catalogs = {name: kind.options for name, kind in catalog_kinds().items()}
    sessions = {name: kind.options for name, kind in session_kinds().items()}
    click.echo(json.dumps(json_schema(catalogs, sessions), indent=2))
