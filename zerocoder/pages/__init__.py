"""What the reports share: `html` makes one page for a browser, `markdown` tables for GitHub."""
