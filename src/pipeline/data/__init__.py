"""From files to rows that may be learnt from."""
