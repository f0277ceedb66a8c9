"""Every route again and again, with good requests and bad ones, and nothing left of it but users."""
from api.endpoints import ENDPOINTS


def clear(world):
    for instance in world.api.instances():
        if instance["Id"] != getattr(world, "kept", None):
            world.delete(instance["Id"])
    for image in world.api.images():
        world.api.delete("/api/images/delete", {"id": image["Id"]}).expect(201)
    for node in world.api.nodes():
        if node["id"] != world.node_id:
            world.api.delete("/api/nodes/delete", {"nodeId": node["id"]}).expect(201)


def once(world):
    """One round; how many requests the table made of it."""
    count = 0
    for endpoint in ENDPOINTS:
        path, body = endpoint.make(world)
        ask = {} if body is None else {"body": body}
        if not endpoint.public:
            world.api.request(endpoint.method, path, key=None, **ask).refused(401)
            world.api.request(endpoint.method, path, raw=b'{"a":', key="no key").refused(401)
        if endpoint.reads_body:
            world.api.request(endpoint.method, path, raw=b'{"a":').refused(400)
        for field in endpoint.required:
            world.api.request(endpoint.method, path, {**body, field: None}).refused(400)
        world.api.request(endpoint.method, path, timeout=90, **ask).expect(endpoint.ok)
        count += 4 + len(endpoint.required)
    world.api.post("/join", {"nodeId": world.node_id, "csr": "x", "nonce": "x", "agentVersion": "1",
                             "mac": "x"}, key=None).refused(401)
    clear(world)
    return count
