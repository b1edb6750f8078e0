"""Pictures of the shipped dashboards, drawn by Grafana's own components. See README.md here."""
