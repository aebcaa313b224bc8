"""How much the store keeps."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a store; the oldest go first, up to a tenth more may be kept for a while.

    Attributes:
        max_requests: Records kept. 5,000 is a day of clicking or a few minutes of load.
        max_age_hours: Records older than this go; 72 hours outlive a weekend of two days.
        max_bytes: Size of the whole database; records go first, then groups.
        max_groups: Groups kept; those that were not seen for longest go first, ignored ones last.
    """

    max_requests: int = 5_000
    max_age_hours: float = 72.0
    max_bytes: int = 100 * 1024 * 1024
    max_groups: int = 2_000
