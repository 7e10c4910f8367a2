"""The feeder in home automation: MQTT, as Home Assistant discovers it."""
