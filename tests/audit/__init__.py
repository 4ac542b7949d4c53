"""``make audit``: secrets among the files, known flaws among the packages."""
