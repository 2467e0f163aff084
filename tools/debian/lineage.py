"""Makes and renews a certificate as certbot does, by certbot's own code for its files, without an authority.

lineage.py new|renew|expired HOST
"""
import os
import subprocess
import sys
import tempfile

from certbot import configuration
from certbot._internal import constants, storage


def config():
    values = dict(constants.CLI_DEFAULTS)
    space = type("Space", (), values)()
    space.domains, space.server = [], "https://acme.invalid/"
    return configuration.NamespaceConfig(space)


def issued(host, expired):
    """A key, and a certificate for it by an authority of its own."""
    with tempfile.TemporaryDirectory() as d:
        def run(*args):
            subprocess.run(["openssl", *args], check=True, cwd=d, capture_output=True)

        def read(name):
            with open(os.path.join(d, name), "rb") as f:
                return f.read()

        run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
            "-subj", "/CN=authority of the run")
        run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "req.pem", "-subj", "/CN=" + host)
        with open(os.path.join(d, "ext"), "w", encoding="ascii") as f:
            f.write("subjectAltName=DNS:" + host)
        days = "-1" if expired else "30"
        run("x509", "-req", "-in", "req.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", days,
            "-extfile", "ext", "-out", "cert.pem")
        return read("cert.pem"), read("key.pem"), read("ca.pem")


def main(what, host):
    cert, key, chain = issued(host, what == "expired")
    cli = config()
    if what == "new":
        storage.RenewableCert.new_lineage(host, cert, key, chain, cli)
        return
    lineage = storage.RenewableCert(os.path.join(cli.renewal_configs_dir, host + ".conf"), cli)
    lineage.save_successor(lineage.latest_common_version(), cert, key, chain, cli)
    lineage.update_all_links_to(lineage.latest_common_version())


main(*sys.argv[1:])
