"""What the use cases need, named for that need, as Protocols the adapters satisfy."""
