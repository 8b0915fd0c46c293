"""MQTT out: messages of the live channel and sensors of our own, published to a broker."""
