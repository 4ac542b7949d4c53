"""What Prometheus is told, and the small web page that tells it."""
