"""Two people in a MinIO that suite.py has started: Alice may do all in the bucket, Bob may read t/. Prints what STS lends them.

    minio_people.py PORT CA_FILE begin | again | withdraw
"""

import json
import sys
import tempfile

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials import AssumeRoleProvider, StaticProvider

PORT, CA, WORD = sys.argv[1:]
ADDRESS = f"127.0.0.1:{PORT}"
HTTP = urllib3.PoolManager(ca_certs=CA, cert_reqs="CERT_REQUIRED")
PEOPLE = {"alice": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"]}],
          "bob": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::lake/t/*"]}]}


def admin():
    keeper = StaticProvider("keeper", "keeper-of-the-test")
    return MinioAdmin(endpoint=ADDRESS, credentials=keeper, http_client=HTTP)


def lend(name):
    keys = AssumeRoleProvider(sts_endpoint=f"https://{ADDRESS}", access_key=name, secret_key=f"{name}-of-the-test",
                              duration_seconds=900, http_client=HTTP).retrieve()
    return {"access": keys.access_key, "secret": keys.secret_key, "token": keys.session_token}


if WORD == "begin":
    Minio(ADDRESS, "keeper", "keeper-of-the-test", http_client=HTTP).make_bucket("lake")
    for name, statements in PEOPLE.items():
        admin().user_add(name, f"{name}-of-the-test")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as policy:
            json.dump({"Version": "2012-10-17", "Statement": statements}, policy)
            policy.flush()
            admin().policy_add(f"{name}-policy", policy.name)
        admin().policy_set(f"{name}-policy", user=name)
if WORD == "withdraw":
    admin().policy_unset("bob-policy", user="bob")
else:
    print(json.dumps([lend(name) for name in PEOPLE]))
