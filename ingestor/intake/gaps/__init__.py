"""What a listener could not keep: named, remembered over its end, and told until the database has it; fills nothing."""

from ingestor.intake.gaps.gap import Gap
from ingestor.intake.gaps.keeper import GapKeeper
from ingestor.intake.gaps.memory import GapMemory

__all__ = ["Gap", "GapKeeper", "GapMemory"]
