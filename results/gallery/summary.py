#!/usr/bin/env python3
"""Summarise a run for the gallery: what depends on what, with excerpts of at most 80 characters and nothing else of a prompt.

    parallax run scenarios/NAME.toml --engine embedded --seed N --out RUN
    python3 results/gallery/summary.py RUN [RUN ON ANOTHER ENGINE] > results/gallery/NAME.json
"""

import json
import pathlib
import shlex
import sys

LONGEST = 80
PLACES = 3


def short(text):
    """The text, cut to 80 characters."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def read(run, file):
    return json.loads((pathlib.Path(run) / file).read_text(encoding="utf-8"))


def command(manifest):
    """The command line that makes the run again."""
    words = ["parallax", "run", manifest["scenario_path"], "--engine", manifest["engine"].split()[0]]
    words += ["--seed", str(manifest["seed"])]
    pinned = f"target.version={manifest['target']['version']}"
    text = manifest["scenario_text"]
    for override in manifest["overrides"]:
        # The scenario says so already.
        if override == pinned and f'version = "{manifest["target"]["version"]}"' in text:
            continue
        words += ["--set", override]
    return shlex.join(words)


def run(manifest, findings):
    cells = findings["cells"]
    return {
        "command": command(manifest),
        "date": manifest["started"][:10],
        "engine": manifest["engine"].split()[0],
        "kernel": manifest["kernel"],
        "seed": manifest["seed"],
        "verdict": findings["verdict"],
        "cells": cells["observed"],
        "lost": cells["failed"],
        "findings": [found["id"] for found in findings["findings"]],
    }


def level(value):
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def finding(found):
    excerpt = found["excerpt"]
    return {
        "id": found["id"],
        "class": found["class"],
        "channels": found["channels"],
        "depends_on": found["factors"],
        "places": len(found["places"]),
        "where": [short(place) for place in found["places"][:PLACES]],
        "rule": [
            {"when": line["when"], "value": short(line["value"]) if line["value"] is not None else None}
            for line in found["rule"]
        ],
        "baseline": short(excerpt["baseline"]) if excerpt["baseline"] is not None else None,
        "variant": short(excerpt["variant"]) if excerpt["variant"] is not None else None,
        "explained_by": found["explained_by"],
        "e_value": float(f"{1 / found['p_value']:.3g}") if found["p_value"] else None,
        "agree": found["support"]["agree"],
        "disagree": found["support"]["disagree"],
    }


def main(runs):
    manifest, findings = read(runs[0], "manifest.json"), read(runs[0], "findings.json")
    summary = {
        "scenario": manifest["scenario_path"],
        "package": manifest["target"]["package"],
        "version": manifest["target"]["version"],
        "runtime": manifest["target"].get("runtime"),
        "parallax": manifest["parallax"],
        "run": run(manifest, findings),
        "also": [run(read(other, "manifest.json"), read(other, "findings.json")) for other in runs[1:]],
        "factors": {
            factor["name"]: [level(one) for one in factor["levels"]] for factor in manifest["scenario"]["factors"]
        },
        "strength": findings["power"]["strength"],
        "varies_without_rule": len(findings["power"]["unexplained"]),
        "findings": [finding(found) for found in findings["findings"]],
    }
    json.dump(summary, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
