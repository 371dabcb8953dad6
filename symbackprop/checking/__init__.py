"""Every equality as numbers, against nothing derived; and generated code beside references."""
