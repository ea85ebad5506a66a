"""Tells how parts were reloaded: in the log, for `/status`, in the metrics."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from authproxy import events
from authproxy.daemon import log
from authproxy.daemon.catalogs import CatalogOutcome
from authproxy.daemon.outcome import Outcome, Result, Try
from authproxy.daemon.status import Status

_LOG: Final = log.get("authproxy.daemon")
_ASKED: Final = Try()


class Teller:
    """Knows what was told before, so that a failure that stays is one line and not one for each look."""

    def __init__(self, status: Status, now: Callable[[], datetime]) -> None:
        self._status = status
        self._now = now

    def tell(self, outcome: Outcome, how: Try = _ASKED) -> None:
        """Tell how a part was reloaded, as this run tells things."""
        known = self._status.parts.get(outcome.part)
        if outcome.result is Result.REJECTED:
            if how.tells_failures and (how.tells_everything or known is None or known.error != outcome.error):
                self._note(outcome.part, outcome.error)
        elif how.tells_everything or outcome.result is Result.APPLIED or known is None or not known.success:
            self._note(outcome.part)

    def tell_catalog(self, outcome: CatalogOutcome, *, always: bool = False) -> Outcome:
        """Tell how a catalog was read; `always`: though it means the same as before. Return it as a transaction."""
        part = f"catalog:{outcome.name}"
        # Polled: a failure is told where it is new, as a watch does on its last try.
        how = _ASKED if always else Try(material_only=True, again=True)
        reloaded = outcome.reloaded
        if reloaded is None:
            ended = Outcome(part=part, result=Result.REJECTED, error=outcome.error)
            self.tell(ended, how)
            return ended
        ended = Outcome(part=part, result=Result.APPLIED if reloaded.changed else Result.UNCHANGED)
        self._status.records[outcome.name] = reloaded.records
        before = self._status.rejected.get(outcome.name, 0)
        self._status.rejected[outcome.name] = len(reloaded.problems)
        self.tell(ended, how)
        if reloaded.changed or always or len(reloaded.problems) != before:
            for problem in reloaded.problems:
                _LOG.error(events.CATALOG_ROW_REJECTED, catalog=outcome.name, error=problem)
        return ended

    def _note(self, part: str, error: str = "") -> None:
        self._status.note(part, self._now(), error)
        if error:
            _LOG.error(events.RELOAD_REJECTED, part=part, error=error, generation=self._status.generation)
        else:
            _LOG.info(events.RELOAD_APPLIED, part=part, generation=self._status.generation)
