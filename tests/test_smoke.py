def test_list(steps):
    a=steps.person(); steps.post(a); assert steps.client.get("/v2/posts").json()["data"][0]["title"]
