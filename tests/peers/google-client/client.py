"""Tasks for Google's own client library: what the operator does, done by somebody else.

Each takes one JSON argument and prints one JSON value.
"""

import base64
import datetime
import json
import sys


def read(base, key_file, admin, scopes, schema, missing):
    """Reads everything page by page, and looks up one person who is there and one who is not."""
    from google.oauth2 import service_account
    from googleapiclient import discovery, errors

    credentials = service_account.Credentials.from_service_account_info(
        json.loads(key_file), scopes=scopes, subject=admin
    )
    directory = discovery.build(
        "admin",
        "directory_v1",
        credentials=credentials,
        client_options={"api_endpoint": base},
        static_discovery=True,
        cache_discovery=False,
    )

    def pages(resource, name, **parameters):
        request, pages, found = resource.list(**parameters), 0, []
        while request is not None:
            answer = request.execute()
            pages += 1
            found.extend(answer.get(name, []))
            request = resource.list_next(request, answer)
        return pages, found

    user_pages, users = pages(
        directory.users(),
        "users",
        customer="my_customer",
        maxResults=500,
        projection="custom",
        customFieldMask=schema,
        fields="kind,nextPageToken,users(id,primaryEmail,suspended,customSchemas)",
    )
    group_pages, groups = pages(directory.groups(), "groups", customer="my_customer", maxResults=200)
    members = {
        group["id"]: sorted(
            member["id"] for member in pages(directory.members(), "members", groupKey=group["id"], maxResults=200)[1]
        )
        for group in groups
    }
    one = directory.users().get(userKey=users[0]["id"]).execute()
    try:
        directory.users().get(userKey=missing).execute()
        absence = None
    except errors.HttpError as error:
        absence = [error.resp.status, error.error_details[0]["reason"]]
    return {
        "userPages": user_pages,
        "users": {user["id"]: user for user in users},
        "groupPages": group_pages,
        "groups": {group["id"]: group["email"] for group in groups},
        "members": members,
        "one": one["primaryEmail"],
        "absence": absence,
    }


def verify(assertion, public_key, audience):
    """Checks an assertion by the library's own rules, and gives its claims."""
    from google.auth import jwt

    return jwt.decode(assertion, certs=public_key, audience=audience)


def p12(private_key, password):
    """Puts a key into a PKCS#12 file with the algorithms of Google's console: 3DES, and SHA-1 for the MAC."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

    key = serialization.load_pem_private_key(private_key.encode(), password=None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "100000000000000000042")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())
        .build(password.encode())
    )
    file = pkcs12.serialize_key_and_certificates(b"privatekey", key, certificate, None, encryption)
    return base64.b64encode(file).decode()


TASKS = {"read": read, "verify": verify, "p12": p12}

if __name__ == "__main__":
    json.dump(TASKS[sys.argv[1]](**json.loads(sys.argv[2])), sys.stdout)
