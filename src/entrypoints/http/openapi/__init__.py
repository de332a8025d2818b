"""The API describes itself: OpenAPI 3.1, made from the routes, their guards and the use cases.

Nothing here is written route by route. What a route needs is read off its guard, what it may
refuse off the ``Raises:`` of the use cases it calls, and its examples are put together from
the words that the API uses for its fields. What cannot be read off fails a test that says
what to add.
"""
