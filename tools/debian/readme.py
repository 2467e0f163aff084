"""Prints what a step of the README's section "Host it on a public MX" tells its reader to type.

readme.py FILE commands N: its commands, one a line. readme.py FILE toml N: its configuration.
"""
import re
import sys


def step(text, number):
    section = text.split("\n## Host it on a public MX\n", 1)[1].split("\n## ", 1)[0]
    steps = re.split(r"^(\d+)\. ", section, flags=re.M)
    return dict(zip(steps[1::2], steps[2::2]))[number]


def main(file, what, number):
    with open(file, encoding="utf-8") as f:
        text = step(f.read(), number)
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, flags=re.M | re.S)
    rest = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    if what == "toml":
        for kind, block in blocks:
            if kind == "toml":
                print(re.sub(r"^ +", "", block, flags=re.M), end="")
        return
    for kind, block in blocks:
        if kind in ("", "sh"):
            for line in block.splitlines():
                print(line.strip())
    for span in re.findall(r"`([^`]+)`", rest):
        span = " ".join(span.split())
        # A command: what root types, or the line that builds the program.
        if re.match(r"(sudo|CGO_ENABLED=0) ", span):
            print(span)


main(*sys.argv[1:])
