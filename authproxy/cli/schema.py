"""`authproxy schema`: the JSON Schema of the configuration, with the catalog kinds that are installed here."""

import json

import click


@click.command()
def command() -> None:
    """Print the configuration's JSON Schema.

    Editors complete and check the file with it:

    \b
      authproxy schema > authproxy.schema.json
      # then, as the first line of authproxy.yaml:
      # yaml-language-server: $schema=authproxy.schema.json

    It knows shapes and spellings; `authproxy check` also knows whether names exist, and reads the files that are named.
    """
    from authproxy.catalogs import registry
    from authproxy.settings import json_schema

    kinds = {name: kind.options for name, kind in registry.kinds().items()}
    click.echo(json.dumps(json_schema(kinds), indent=2))
