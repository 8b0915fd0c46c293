"""What became of every event, what could not be heard, what could not be used; as REST answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import strawberry

from ingestor import errors
from ingestor.api.graphql.context import Asked
from ingestor.api.graphql.fields import told
from ingestor.api.graphql.pages import FIRST, First, checked
from ingestor.api.graphql.scalars import Long, Time
from ingestor.api.graphql.shapes import shaped
from ingestor.api.v1.keeping import (
    LAST_ID,
    CauseItems,
    CauseList,
    GapItems,
    GapList,
    GapShape,
    LedgerShape,
    LedgerSpan,
    PieceList,
    PieceShape,
    causes_of,
    gap_of,
    gaps_of,
    ledger_of,
    piece_of,
    pieces_of,
)

_PIECES = 10

if TYPE_CHECKING:
    Ledger = LedgerShape
    Gap = GapShape
    Gaps = GapItems
    Quarantine = CauseItems
    Piece = PieceShape
else:
    Ledger = shaped(LedgerShape, "Ledger")
    Gap = shaped(GapShape, "Gap")
    Gaps = shaped(GapItems, "Gaps")
    Quarantine = shaped(CauseItems, "Quarantine")
    Piece = shaped(PieceShape, "QuarantinePiece")


@strawberry.type
class KeepingQueries:
    """What can be asked of ledger, gaps and quarantine."""

    @told("What became of every event received, by hour and source. Default: the last day.")
    async def ledger(
        self, info: Asked, home: str | None = None, since: Time | None = None, until: Time | None = None
    ) -> Ledger:
        """Return the ledger."""
        info.context.allow(home)
        asked = LedgerSpan.model_validate({"home": home, "since": since, "until": until})
        return await info.context.other(lambda: ledger_of(info.context.means, asked))

    @told("Times in which a home could not be heard, the newest first.")
    async def gaps(self, info: Asked, home: str | None = None, since: Time | None = None, first: First = FIRST) -> Gaps:
        """Return gaps."""
        info.context.allow(home)
        asked = GapList.model_validate({"home": home, "since": since, "limit": checked(first)})
        return await info.context.other(lambda: gaps_of(info.context.means, asked))

    @told("One gap.")
    async def gap(self, info: Asked, gap_id: str) -> Gap | None:
        """Return it."""
        info.context.allow(None)
        return await info.context.other(lambda: gap_of(info.context.means, gap_id))

    @told("What could not be used, by cause.")
    async def quarantine(self, info: Asked, first: First = FIRST) -> Quarantine:
        """Return causes."""
        info.context.allow(None)
        asked = CauseList.model_validate({"limit": checked(first)})
        return await info.context.other(lambda: causes_of(info.context.means, asked))

    @told("Single pieces that could not be used, the newest first: 25 at most.")
    async def quarantine_pieces(self, info: Asked, cause: str | None = None, first: First = _PIECES) -> list[Piece]:
        """Return pieces."""
        info.context.allow(None)
        asked = PieceList.model_validate({"cause": cause, "limit": first})
        return (await info.context.other(lambda: pieces_of(info.context.means, asked))).items

    @told("One piece.")
    async def quarantine_piece(self, info: Asked, id: Long) -> Piece | None:  # noqa: A002 -- its name in the schema
        """Return it."""
        info.context.allow(None)
        if not 1 <= id <= LAST_ID:
            raise errors.NotFound(f"there is no piece {id}")
        return await info.context.other(lambda: piece_of(info.context.means, id))
