"""The companion of an Envoy in its pod: answers probes, hands out its statistics, and sees to it that it drains.

`python -m fastforward_kit.companion`. Envoy's own console can stop it and shows its configuration, so it is reached
through a socket in the pod only; this is what others may ask.
"""
