"""What a person does with projects, up to the moment a worker takes over."""
