"""One module a page, each with a function `page()` that reads top to bottom. A page imports no other page."""
