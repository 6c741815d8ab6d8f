"""Checks of the deployment: image, chart, alerts, dashboard, page. Begin with `test.sh`."""
