"""Two local servers: a playground in a browser, and answers as JSON for programs. Both stand behind the same guards."""
