"""Many audits at once: entries, the processes that audit them, the file and the document made of them."""
