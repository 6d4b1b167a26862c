"""Report of one photo and its prediction as a self-contained HTML page, or as a PDF."""

from triovision.photo_report.page import FACTS, Report, report_page
from triovision.photo_report.printing import write_pdf

__all__ = ["FACTS", "Report", "report_page", "write_pdf"]
