"""Writing: citations, derivations as documents, and the report, in the letters of a paper or of the reader."""
