"""The report of a run, one self-contained page with figures, and the table that compares runs."""

from reparam.report.compare import compare_rows, compare_table
from reparam.report.write import write_page, write_report

__all__ = ["compare_rows", "compare_table", "write_page", "write_report"]
