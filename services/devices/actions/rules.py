"""When an action fires: conditions on the records of one request."""
