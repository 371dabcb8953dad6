"""Reading tables: TOML files, names that users choose, and every mistake at once."""
