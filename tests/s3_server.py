"""An S3-compatible server on 127.0.0.1 that knows one key pair and refuses requests that it did not sign."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "bucket"
EVERYTHING_OF_S3 = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@dataclass(frozen=True)
class S3Server:
    url: str
    access_key_id: str
    secret_access_key: str

    @property
    def credentials(self) -> dict[str, str]:
        """As environment variables."""
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server with an empty bucket, for as long as the block lasts."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        # Until it is told to check them, the server takes any credentials.
        anyone = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}
        boto3.client("s3", endpoint_url=url, **anyone).create_bucket(Bucket=BUCKET)
        iam = boto3.client("iam", endpoint_url=url, **anyone)
        iam.create_user(UserName="member")
        iam.put_user_policy(UserName="member", PolicyName="s3", PolicyDocument=json.dumps(EVERYTHING_OF_S3))
        key = iam.create_access_key(UserName="member")["AccessKey"]
        urlopen(Request(f"{url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})).close()
        yield S3Server(url, key["AccessKeyId"], key["SecretAccessKey"])
    finally:
        server.stop()


def without_credentials(environment: dict[str, str], empty_file: Path) -> dict[str, str]:
    """An environment in which the AWS libraries find no credentials: no variables, files or metadata service."""
    empty_file.touch()
    files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.fspath(empty_file))
    kept = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return kept | files | {"AWS_EC2_METADATA_DISABLED": "true"}
