"""Satchel, the service: the Lambda code behind `backend/openapi.yaml`."""
