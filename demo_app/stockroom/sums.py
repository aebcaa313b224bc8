"""Sums over a year. Imports nothing: other processes import this module, too."""


def expected_sales(days: int) -> int:
    """Add up expected sales, day by day, from the beginning each time."""
    expected = [day * 5 % 11 for day in range(days)]
    return sum(sum(expected[:day]) for day in range(days))  # defect: LOOP101 process-pool
