"""Brings the pages that wait in the post into the ledger; counts nothing itself, and may be run by many at once."""

from __future__ import annotations

from ingestor.queue.ledger_post import LedgerPost
from ingestor.storage.ledger import Ledger


def bring_in(post: LedgerPost, ledger: Ledger) -> int:
    """Add what waits to the ledger and confirm it; return the number of pages. Raises Transient errors."""
    brought = 0
    for pages in post.waiting():
        kept = post.kept(pages[0].book)
        ledger.add([page for page in pages if page.number > kept])
        post.confirm(pages)
        brought += len(pages)
    return brought
