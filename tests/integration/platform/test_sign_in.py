"""Where no other provider is set up."""

import httpx


async def test_a_provider_that_is_not_set_up_is_said_to_be_none(client: httpx.AsyncClient) -> None:
    assert (await client.get("/auth/providers")).json() == {"items": []}
    for path in ("/auth/google/start", "/auth/google/callback?state=x&code=y"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_not_configured")
        assert not answer.headers.get_list("set-cookie")
