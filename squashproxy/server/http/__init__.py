"""HTTP in general: listening, routes, ranges, errors and logs."""
