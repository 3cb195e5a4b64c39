"""Tasks for Google's own client library: what the operator does, done by somebody else.

Each takes one JSON argument and prints one JSON value.
"""

import base64
import datetime
import json
import sys


def directory_of(base, credentials):
    """The Directory API below this base."""
    from googleapiclient import discovery

    return discovery.build(
        "admin",
        "directory_v1",
        credentials=credentials,
        client_options={"api_endpoint": base},
        static_discovery=True,
        cache_discovery=False,
    )


def by_key(key_file, admin, scopes):
    """Credentials of a service account with a key, that acts for the administrator."""
    from google.oauth2 import service_account

    return service_account.Credentials.from_service_account_info(json.loads(key_file), scopes=scopes, subject=admin)


def pages(resource, name, **parameters):
    """How many pages there are of a list, and its elements."""
    request, count, found = resource.list(**parameters), 0, []
    while request is not None:
        answer = request.execute()
        count += 1
        found.extend(answer.get(name, []))
        request = resource.list_next(request, answer)
    return count, found


USERS = {"maxResults": 500, "fields": "kind,nextPageToken,users(id,primaryEmail,suspended,customSchemas)"}
GROUPS = {"maxResults": 200, "fields": "kind,nextPageToken,groups(id,email,name,description)"}
GROUP = {"fields": "kind,id,email,name,description"}
MEMBERS = {"maxResults": 200, "fields": "kind,nextPageToken,members(id,type)"}


def members_of(directory, group):
    """The direct members of a group."""
    return pages(directory.members(), "members", groupKey=group, **MEMBERS)[1]


def read(base, key_file, admin, scopes, schema, missing):
    """Reads everything page by page, and looks up one person and one group that are there, and some that are not."""
    from googleapiclient import errors

    directory = directory_of(base, by_key(key_file, admin, scopes))

    def absence(call):
        try:
            call.execute()
        except errors.HttpError as error:
            return [error.resp.status, error.error_details[0]["reason"]]

    user_pages, users = pages(
        directory.users(), "users", customer="my_customer", projection="custom", customFieldMask=schema, **USERS
    )
    group_pages, groups = pages(directory.groups(), "groups", customer="my_customer", **GROUPS)
    one = directory.users().get(
        userKey=users[0]["id"], projection="basic", fields="kind,id,primaryEmail,customerId,suspended,archived"
    )
    return {
        "userPages": user_pages,
        "users": {user["id"]: user for user in users},
        "groupPages": group_pages,
        "groups": {group["id"]: group for group in groups},
        "members": {group["id"]: sorted(one["id"] for one in members_of(directory, group["id"])) for group in groups},
        "one": one.execute(),
        "group": directory.groups().get(groupKey=groups[0]["id"], **GROUP).execute(),
        "absences": [
            absence(directory.users().get(userKey=missing)),
            absence(directory.groups().get(groupKey=missing)),
            absence(directory.members().list(groupKey=missing)),
        ],
    }


def narrowed(base, key_file, admin, scopes, user_query, group_query, domain):
    """Who is found by queries, and who is in a domain: addresses of people and of groups."""
    directory = directory_of(base, by_key(key_file, admin, scopes))

    def found(**parameters):
        users = dict(parameters, query=user_query) if "customer" in parameters else parameters
        groups = dict(parameters, query=group_query) if "customer" in parameters else parameters
        return [
            sorted(one["primaryEmail"] for one in pages(directory.users(), "users", **users, **USERS)[1]),
            sorted(one["email"] for one in pages(directory.groups(), "groups", **groups, **GROUPS)[1]),
        ]

    return {"query": found(customer="my_customer"), "domain": found(domain=domain)}


def scoped(base, key_file, admin, scopes, only_groups):
    """Who belongs to some groups at any depth, and which groups are in them: addresses."""
    directory = directory_of(base, by_key(key_file, admin, scopes))
    people, groups, waiting = set(), {}, list(only_groups)
    while waiting:
        group = directory.groups().get(groupKey=waiting.pop(), **GROUP).execute()
        if group["id"] in groups:
            continue
        groups[group["id"]] = group["email"]
        for member in members_of(directory, group["id"]):
            if member["type"] == "GROUP":
                waiting.append(member["id"])
            else:
                people.add(member["id"])
    users = pages(directory.users(), "users", customer="my_customer", **USERS)[1]
    return {
        "people": sorted(user["primaryEmail"] for user in users if user["id"] in people),
        "groups": sorted(groups.values()),
    }


def overview(base, key_file, admin, scopes):
    """The domains and org units of the customer."""
    directory = directory_of(base, by_key(key_file, admin, scopes))
    domains = directory.domains().list(customer="my_customer").execute()
    units = directory.orgunits().list(customerId="my_customer", type="all").execute()
    return {
        "domains": [domain["domainName"] for domain in domains["domains"]],
        "orgUnits": [unit["orgUnitPath"] for unit in units["organizationUnits"]],
    }


def workload(base, token_file, provider, service_account, admin, scopes):
    """Reads people without a key: the workload's token is exchanged, and IAM signs that it acts for the administrator."""
    from google.auth import identity_pool
    from google.auth.transport import requests
    from google.oauth2 import _client, credentials
    from googleapiclient import discovery

    federated = identity_pool.Credentials(
        audience=provider,
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        token_url=base + "v1/token",
        credential_source={"file": token_file},
        scopes=["https://www.googleapis.com/auth/cloud-platform"],
    )
    iam = discovery.build(
        "iamcredentials",
        "v1",
        credentials=federated,
        client_options={"api_endpoint": base},
        static_discovery=True,
        cache_discovery=False,
    )
    now = int(datetime.datetime.now(datetime.timezone.utc).timestamp())
    claims = {
        "iss": service_account,
        "sub": admin,
        "scope": " ".join(scopes),
        "aud": base + "token",
        "iat": now,
        "exp": now + 3600,
    }
    name = "projects/-/serviceAccounts/" + service_account
    signed = iam.projects().serviceAccounts().signJwt(name=name, body={"payload": json.dumps(claims)}).execute()
    token, _, _ = _client.jwt_grant(requests.Request(), base + "token", signed["signedJwt"])
    directory = directory_of(base, credentials.Credentials(token))
    users = pages(directory.users(), "users", customer="my_customer", **USERS)[1]
    return sorted(user["primaryEmail"] for user in users)


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


TASKS = {task.__name__: task for task in (read, narrowed, scoped, overview, workload, verify, p12)}

if __name__ == "__main__":
    json.dump(TASKS[sys.argv[1]](**json.loads(sys.argv[2])), sys.stdout)
