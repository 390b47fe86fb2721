"""Values in, text out: tables, documents, messages; no decisions."""
