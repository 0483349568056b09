"""Control panels for JupyterLab: glass over tradelab, holding no number of their own."""
