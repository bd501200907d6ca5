"""A secured stack: certificates, passwords, and the rights of each role."""
