"""Makes and renews a certificate as certbot does, by certbot's own code for its files, without an authority.

lineage.py new|renew|expired HOST
"""
import os
import subprocess
import sys
import tempfile

from certbot import configuration, util
from certbot._internal import cli, constants, storage
from certbot._internal.plugins import disco


def config(host):
    plugins = disco.PluginsRegistry.find_all()
    args = cli.prepare_and_parse_args(plugins, ["certonly", "-n", "-d", host])
    return configuration.NamespaceConfig(args)


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
    cfg = config(host)
    util.make_or_verify_dir(cfg.config_dir, constants.CONFIG_DIRS_MODE, True)
    if what == "new":
        storage.RenewableCert.new_lineage(host, cert, key, chain, cfg)
        return
    lineage = storage.RenewableCert(os.path.join(cfg.renewal_configs_dir, host + ".conf"), cfg)
    lineage.save_successor(lineage.latest_common_version(), cert, key, chain, cfg)
    lineage.update_all_links_to(lineage.latest_common_version())


main(*sys.argv[1:])
