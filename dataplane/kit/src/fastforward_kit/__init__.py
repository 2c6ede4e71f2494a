"""Workload chassis: snapshot stream, lifecycle, health, telemetry, settings."""
