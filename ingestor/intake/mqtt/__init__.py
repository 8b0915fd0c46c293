"""The MQTT listener: hears a broker, joins what belongs together, acknowledges what is journaled; decodes no event."""
