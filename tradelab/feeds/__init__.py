"""Keep bars up to date from any data provider: fetch, backfill, stream, share."""
