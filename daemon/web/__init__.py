"""The one HTTP server: pages and API read the World through the View; sources offer their routes as plain values."""
