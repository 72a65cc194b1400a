"""HTTP below the API: connections, routes, ranges, errors and the access log."""
