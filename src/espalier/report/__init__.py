"""Reports: tables, Markdown and one self-contained page, read from nothing but run folders."""
