"""What a command with commands of its own says about a word that is none of them."""

from __future__ import annotations

import click
from typing_extensions import override

LATER = frozenset({
    "audit", "doctor", "explain", "integrate", "pepper status", "token export", "token import", "token list",
    "token report", "token retire", "token revoke", "token rotate", "token scan", "token show",
})  # fmt: skip
"""The commands that the next versions will know; they are refused as such, not as misspelt."""


class Group(click.Group):
    """A group that suggests the nearest of its commands, and knows which ones are still to come."""

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and name[:1].isalnum():
            whole = f"{ctx.command_path} {name}".partition(" ")[2]
            if whole in LATER:
                ctx.fail(f"'{whole}' is not available in this version")
            # Hardly anybody needs it, and a health check must start fast.
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            ctx.fail(f"there is no command '{whole}'" + (f" (did you mean '{near[0]}'?)" if near else ""))
        return super().resolve_command(ctx, args)
