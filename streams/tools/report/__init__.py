"""The journey owner's view: what outputs and touchpoints say about journeys, actions, feelings and service."""
