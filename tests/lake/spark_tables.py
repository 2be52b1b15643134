"""Tables that Spark wrote (tests/data/iceberg), moved into SeaweedFS. Python's standard library is all it needs."""

import json
import time
import urllib.error
from pathlib import Path

import world
from relocate import Mover
from world import identity

DATA = Path(__file__).resolve().parents[1] / "data/iceberg"
HOME = (DATA / "prefix").read_text().strip() + "/warehouse/hadoop/core/"
# Paths inside Parquet files can only be replaced by others of their length: the namespace makes up for it.
NAMESPACE = "core_".ljust(len(HOME) - len("s3://lake/") - 1, "x")


class SparkFiles:
    """The tables in a store, as `keeper`, one of its people, puts them there; how a catalog comes to know them is its own class's."""

    def __init__(self, store, keeper):
        self.store, self.keeper = store, keeper
        self.objects = {}  # all that is there, by path

    def put(self, table):
        """Puts the files; gives the name and the text of the newest metadata file."""
        mover = Mover(DATA / "warehouse/hadoop/core" / table, HOME + table, f"s3://lake/{NAMESPACE}/{table}")
        files = [path for path in sorted(mover.source.rglob("*")) if path.is_file()]
        files.sort(key=lambda path: path.name.startswith("snap-") and path.suffix == ".avro")
        for path in files:
            name = f"{NAMESPACE}/{table}/{path.relative_to(mover.source)}"
            data = mover.rewrite(path, path.read_bytes())
            mover.lengths[f"s3://lake/{name}".encode()] = len(data)
            if path.suffix in (".avro", ".json", ".parquet"):
                world.put_object(self.store, *self.keeper, f"/lake/{name}", data)
                self.objects[f"/lake/{name}"] = data
        newest = max(mover.source.glob("metadata/v*.metadata.json"), key=lambda path: int(path.name[1:].split(".")[0]))
        return f"s3://lake/{NAMESPACE}/{table}/metadata/{newest.name}", json.loads(mover.rewrite(newest, newest.read_bytes()))

    def here(self, table, folder):
        """The same table on this machine's disk, where `folder` is as long a name as what is written in the files."""
        Mover(DATA / "warehouse/hadoop/core" / table, HOME + table, f"{folder}/warehouse/hadoop/core/{table}").move()


class SparkTables(SparkFiles):
    def __init__(self, weed, keeper):
        super().__init__(weed.s3, keeper)
        self.weed = weed
        for attempt in range(100):  # the bucket comes a little after the server
            try:
                self.ask("/v1/lake/namespaces", {"namespace": [NAMESPACE]})
                return
            except RuntimeError:
                if attempt == 99:
                    raise
                time.sleep(0.2)

    def ask(self, path, body):
        key, secret = self.keeper
        form = {"grant_type": "client_credentials", "client_id": key, "client_secret": secret}
        token = json.loads(identity.post(f"{self.weed.url}/v1/oauth/tokens", form))["access_token"]
        try:
            return identity.post(f"{self.weed.url}{path}", token=token, body=json.dumps(body).encode())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()}") from None

    def move(self, table):
        return self.commit(table, self.put(table)[1])

    def commit(self, table, metadata):
        """Makes the table in the catalog what it was; gives its snapshots. (The catalog's way to register a metadata file forgets the schema.)"""
        def current(many, which, name):
            return next(one for one in metadata[many] if one[name] == metadata[which])

        made = json.loads(self.ask(f"/v1/lake/namespaces/{NAMESPACE}/tables", {
            "name": table, "location": metadata["location"], "schema": current("schemas", "current-schema-id", "schema-id"),
            "partition-spec": current("partition-specs", "default-spec-id", "spec-id"), "properties": metadata.get("properties", {})}))
        ids = [[(field["id"], field["name"]) for field in one["schemas"][-1]["fields"]] for one in (made["metadata"], metadata)]
        assert ids[0] == ids[1], ids
        begin = int(time.time() * 1000) + 1000
        snapshots = sorted(metadata["snapshots"], key=lambda one: one["timestamp-ms"])
        for count, one in enumerate(snapshots):
            kept = {key: value for key, value in one.items() if key not in ("parent-snapshot-id", "schema-id")}
            kept["timestamp-ms"] = begin + count
            self.ask(f"/v1/lake/namespaces/{NAMESPACE}/tables/{table}", {"requirements": [], "updates": [
                {"action": "add-snapshot", "snapshot": kept},
                {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": kept["snapshot-id"]}]})
        return [one["snapshot-id"] for one in snapshots]
