"""`authproxy completion`: the script that teaches a shell our commands and options."""

import click
from click.shell_completion import get_completion_class

# The variable through which the script asks; click reads it for a program called `authproxy`.
VARIABLE = "_AUTHPROXY_COMPLETE"


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    Examples:
      authproxy completion bash > /etc/bash_completion.d/authproxy
      authproxy completion zsh  > ~/.zfunc/_authproxy
      authproxy completion fish > ~/.config/fish/completions/authproxy.fish
    """
    completion = get_completion_class(shell)
    if completion is None:
        ctx.fail(f"no completion for {shell}")
    click.echo(completion(ctx.find_root().command, {}, "authproxy", VARIABLE).source())
