"""A Skyport panel's database, as its key-value library (keyv 4 on SQLite) writes it.

The form is that of the real one: a table keyv(key, value), keys in the namespace "keyv", values
{"value": …, "expires": null} in which a text that begins with ":" has another one before it."""
import json
import sqlite3

NODE_ID = "7d9c2f64-3b1e-4f0a-9a51-c2e8d07b6f13"
IMAGE_ID = "b2f0a9d1-5c77-4e0e-8a44-91d3e6c0f258"
BCRYPT = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"


def escaped(value):
    if isinstance(value, str):
        return ":" + value if value.startswith(":") else value
    if isinstance(value, list):
        return [escaped(one) for one in value]
    if isinstance(value, dict):
        return {key: escaped(one) for key, one in value.items()}
    return value


class Skyport:
    """One of everything; a test changes what it wants before write()."""

    def __init__(self):
        self.node = {"id": NODE_ID, "name": "berlin", "tags": "eu", "ram": "64", "disk": "1000",
                     "processor": "Ryzen", "address": "127.0.0.1", "port": "3002",
                     "apiKey": "node-secret", "configureKey": "c", "status": "Online"}
        self.image = {"Id": IMAGE_ID, "Name": "Paper", "Image": "test:httpd", "Env": ["TZ=UTC"],
                      "Variables": {"VERSION": {"type": "text", "default": "1", "required": True}},
                      "Scripts": {"Install": [{"Uri": "http://203.0.113.9/{{VERSION}}.jar",
                                               "Path": "paper.jar"}]},
                      "StopCommand": "stop", "Meta": {"version": "skyport-v1"}}
        self.users = [self.user("u-ann", "ann", admin=True),
                      self.user("u-bob", "bob", accessTo=["1a2b3c4d"])]
        self.images = [self.image]
        self.nodes = [self.node]
        self.instances = [self.instance("1a2b3c4d")]
        self.rows = {}  # further ones, and in the place of those above; None: not there
        self.raw = {}  # texts as they are

    @staticmethod
    def user(user_id, name, **more):
        return {"userId": user_id, "username": name, "email": f"{name}@example.test",
                "password": BCRYPT, "accessTo": [], "admin": False, "verified": True, **more}

    def instance(self, instance_id, user="u-ann", port=25565, **more):
        return {"Name": f"server {instance_id}", "Id": instance_id, "Node": self.node, "User": user,
                "InternalState": "READY", "ContainerId": "c0ffee", "VolumeId": instance_id,
                "Memory": 512, "Cpu": 1, "Ports": f"25565:{port}", "Primary": str(port),
                "Image": "test:httpd", "AltImages": ["test:sleeper"], "StopCommand": "stop",
                "imageData": self.image,
                "Env": ["TZ=UTC", "VERSION=1.20", f"PRIMARY_PORT={port}"], **more}

    def all_rows(self):
        rows = {"users": self.users, "images": self.images, "instances": self.instances,
                "nodes": [node["id"] for node in self.nodes], "name": "Skyport"}
        for node in self.nodes:
            rows[f"{node['id']}_node"] = node
        for instance in self.instances:
            if isinstance(instance, dict) and instance.get("Id"):
                rows[f"{instance['Id']}_instance"] = instance
                rows.setdefault(f"{instance['User']}_instances", []).append(instance)
        rows.update(self.rows)
        return rows

    def write(self, path):
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE keyv(key VARCHAR(255) PRIMARY KEY, value TEXT )")
        for key, value in self.all_rows().items():
            if value is not None and key not in self.raw:
                text = json.dumps({"value": escaped(value), "expires": None})
                db.execute("INSERT INTO keyv VALUES(?, ?)", (f"keyv:{key}", text))
        for key, text in self.raw.items():
            db.execute("INSERT INTO keyv VALUES(?, ?)", (f"keyv:{key}", text))
        db.commit()
        db.close()
        return path
