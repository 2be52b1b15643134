"""moto as AWS Glue, S3 and the token service of an account, strict: each request but those for keys is signed, and moto compares the
signature; what a role may do is moto's own IAM. Beside it, what Amazon does and moto does not:

    keys are lent for tokens of the issuer, which are checked here, and for the role that is called as its `sub`;
    the policy that a session was asked with narrows what it may; sessions end;
    UpdateTable compares VersionId; lists have pages; Glue's errors have status 400 and Amazon's names.

    server.py PORT JWKS_URL FOLDER

FOLDER/rules has lines "WHO DATABASE", who may not touch what of Glue; FOLDER/ended a time before which sessions are over; FOLDER/calls gets
a line "WHO SERVICE ACTION STATUS TARGET" for each request; FOLDER/lent the secrets of all sessions.
"""

import base64
import json
import sys
import threading
import time
import urllib.request
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from moto import settings
from moto.core.exceptions import JsonRESTError
from moto.glue.models import glue_backends
from moto.glue.responses import GlueResponse
from moto.iam import access_control
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends
from moto.sts.responses import TokenResponse
from moto.core.responses import ActionResult
from werkzeug.serving import run_simple, WSGIRequestHandler

PORT, JWKS_URL, FOLDER = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
ACCOUNT, REGION, PAGE = "123456789012", "eu-west-1", 3
LIFE_S = 3600
TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "issuer"}, "Action": "sts:AssumeRoleWithWebIdentity"}]}'
ALL, READS = ["glue:*", "s3:*"], ["glue:Get*", "s3:Get*", "s3:List*"]
LOCK = threading.RLock()
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# ---- the account


def role(name, actions):
    backend = iam_backends[ACCOUNT]["aws"]
    backend.create_role(role_name=name, assume_role_policy_document=TRUST, path="/", permissions_boundary=None, description="", tags=[], max_session_duration=3600)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    backend.put_role_policy(name, "may", json.dumps(document))


for person in ("anna", "olga"):
    role(person, ALL)
role("bob", READS)
s3_backends[ACCOUNT]["aws"].create_bucket("lake", REGION)


# ---- keys for tokens


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def subject_of(token):
    """Of a token that the issuer signed, and that is for Moat and not over; else None."""
    try:
        head, body, signature = token.split(".")
        with OPENER.open(JWKS_URL, timeout=30) as answer:
            keys = {key["kid"]: key for key in json.load(answer)["keys"]}
        key = keys[json.loads(decode(head))["kid"]]
        x, y = (int.from_bytes(decode(key[part]), "big") for part in "xy")
        raw = decode(signature)
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        public.verify(encode_dss_signature(*(int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))), f"{head}.{body}".encode(),
                      ec.ECDSA(hashes.SHA256()))
        claims = json.loads(decode(body))
    except (ValueError, KeyError, InvalidSignature):
        return None
    return claims["sub"] if "moat" in claims["aud"] and claims["exp"] > time.time() else None


def lend(self):
    who = subject_of(self._get_param("WebIdentityToken"))
    if who is None:
        raise JsonRESTError("InvalidIdentityToken", "the token is none of the issuer's")
    session = self.backend.assume_role_with_web_identity(
        region_name=REGION, role_session_name=self._get_param("RoleSessionName"), role_arn=f"arn:aws:iam::{ACCOUNT}:role/{who}",
        policy=self._get_param("Policy"), duration=LIFE_S, external_id=None)
    session.begun, session.who = time.time(), who
    with LOCK, open(FOLDER / "lent", "a", encoding="utf-8") as out:
        out.write(f"{session.secret_access_key}\n{session.session_token}\n")
    note(who, "sts", "AssumeRoleWithWebIdentity", 200, "-")
    return ActionResult({"Credentials": session, "AssumedRoleUser": {"AssumedRoleId": f"ARO123EXAMPLE123:{session.session_name}", "Arn": session.arn},
                         "PackedPolicySize": 6})


TokenResponse.assume_role_with_web_identity = lend
authorize_others = TokenResponse._authenticate_and_authorize_normal_action


def authorize_sts(self, resource="*"):
    if self._get_action() != "AssumeRoleWithWebIdentity":  # which is not signed
        authorize_others(self, resource)


TokenResponse._authenticate_and_authorize_normal_action = authorize_sts


# ---- who may


def note(who, service, action, status, target):
    with LOCK, open(FOLDER / "calls", "a", encoding="utf-8") as out:
        out.write(f"{who} {service} {action} {status} {target}\n")


def session_of(request):
    key = getattr(request._access_key, "_access_key_id", None)
    return next((one for one in sts_backends[ACCOUNT]["aws"].assumed_roles if one.access_key_id == key), None)


class Expired(S3ClientError):
    code = 400

    def __init__(self):
        super().__init__("ExpiredToken", "The provided token has expired.")


def refuse(service, name, message):
    if service == "glue":
        raise JsonRESTError(name, message)
    raise Expired() if name == "ExpiredTokenException" else access_control.S3AccessDeniedError()


def target_of(request):
    try:
        body = json.loads(request._body or b"{}")
    except ValueError:
        return None
    if request._service != "glue":
        return None
    return body.get("DatabaseName") or body.get("Name") or (body.get("DatabaseInput") or {}).get("Name")


def rules():
    return {tuple(line.split()) for line in (FOLDER / "rules").read_text(encoding="utf-8").splitlines() if line}


# S3's actions by what moto calls them.
ALIASES = {"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket", "s3:ListObjects": "s3:ListBucket", "s3:HeadBucket": "s3:ListBucket",
           "s3:CreateMultipartUpload": "s3:PutObject", "s3:UploadPart": "s3:PutObject", "s3:CompleteMultipartUpload": "s3:PutObject"}
PERMITTED = access_control.PermissionResult.PERMITTED
check_role = access_control.IAMRequestBase.check_action_permitted


def check(self, resource):
    action, target, session = ALIASES.get(self._action, self._action), target_of(self), session_of(self)
    denied = f"User: {self._access_key.arn} is not authorized to perform: {action}"
    who = session.who if session else "-"

    def deny(name, message):
        note(who, self._service, self._action.split(":")[1], 403, target or resource)
        refuse(self._service, name, message)

    if session and session.begun < float((FOLDER / "ended").read_text(encoding="utf-8")):
        deny("ExpiredTokenException", "The security token included in the request is expired")
    if session and session.policy and access_control.IAMPolicy(session.policy).is_action_permitted(action, resource) != PERMITTED:
        deny("AccessDeniedException", f"{denied} because no session policy allows it")
    if (who, target) in rules():
        deny("AccessDeniedException", f"{denied} on resource: arn:aws:glue:{REGION}:{ACCOUNT}:database/{target}")
    try:
        self._action = action
        check_role(self, resource)
    except Exception:
        deny("AccessDeniedException", f"{denied} because no identity-based policy allows it")
    note(who, self._service, self._action.split(":")[1], 200, target or resource)


access_control.IAMRequestBase.check_action_permitted = check
compare = access_control.IAMRequest.check_signature


def check_signature(self):
    if self._service != "glue":
        return compare(self)
    if "x-amz-security-token" not in self._headers.get("Authorization", ""):
        raise JsonRESTError("InvalidSignatureException", "the token of the session is not signed")
    if self._calculate_signature() != self._get_string_between("Signature=", ",", self._headers["Authorization"]):
        note("-", "glue", "signature", 403, "-")
        raise JsonRESTError("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
    return None


def unknown_key(self, reason):
    refuse(self._service, "UnrecognizedClientException", f"The security token included in the request is invalid: {reason}")


access_control.IAMRequest.check_signature = check_signature
access_control.IAMRequest._raise_invalid_access_key = unknown_key


# ---- Glue


def update_table(self):
    name, given = self.parameters["DatabaseName"], self.parameters["TableInput"]
    with LOCK:
        table = self.glue_backend.get_table(name, given["Name"])
        version = self.parameters.get("VersionId")
        if version is not None and version != table.as_dict()["VersionId"]:
            raise JsonRESTError("ConcurrentModificationException", f"Update table failed due to concurrent modifications: {version}.")
        time.sleep(0.002)  # so that what does not compare is seen to lose
        table.update(given)
        if self.parameters.get("SkipArchive"):
            table.versions = {str(table._current_version): given}
    return ActionResult({})


def paged(name, member):
    whole = getattr(GlueResponse, name)

    def page(self):
        listed = whole(self)._result if hasattr(whole(self), "_result") else whole(self).result
        rows = listed[member]
        start = int(self.parameters.get("NextToken") or 0)
        size = min(PAGE, int(self.parameters.get("MaxResults") or PAGE))
        answer = {member: rows[start:start + size]}
        if start + size < len(rows):
            answer["NextToken"] = str(start + size)
        return ActionResult(answer)
    return page


GlueResponse.update_table = update_table
GlueResponse.get_tables = paged("get_tables", "TableList")
GlueResponse.get_databases = paged("get_databases", "DatabaseList")


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


if __name__ == "__main__":
    assert glue_backends[ACCOUNT][REGION] is not None
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    run_simple("127.0.0.1", PORT, DomainDispatcherApplication(create_backend_app), threaded=True, request_handler=Quiet)
