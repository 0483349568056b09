"""Write one HTML file that opens anywhere: offline, light or dark, on a phone, on paper.

`page.render_page` makes the file, `figures.chart` puts a plotly figure into it, `safety` keeps secrets and paths out.
"""
