"""What the situations share, as an application has it: tables, rows, engines and sessions."""
