"""What commands print: tables, units, Docker's list columns, inspected objects, progress."""
