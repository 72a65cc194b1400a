"""The configuration file: YAML that becomes frozen objects."""
