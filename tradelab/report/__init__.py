"""One HTML file that opens offline on any machine."""
