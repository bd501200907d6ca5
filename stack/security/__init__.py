"""A secured stack: certificates, passwords, and what each role may do."""
