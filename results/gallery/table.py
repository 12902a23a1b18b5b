#!/usr/bin/env python3
"""Write docs/gallery.md, and the table in README.md, from the summaries beside this file and notes.json.

    python3 results/gallery/table.py

A summary says what a run found. notes.json has what people added: the agent's name, the order, and what became of each
finding when somebody looked at it with `parallax show` and `parallax diff`.
"""

import json
import pathlib
import unicodedata

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLASSES = ["covert", "overt", "structural", "behavioural"]
NOTHING = "–"
UNKNOWN = "?"


def visible(text):
    """The text with what cannot be seen drawn by its code point."""
    return "".join(
        char if char == " " or unicodedata.category(char)[0] not in "CZ" else f"⟨U+{ord(char):04X}⟩" for char in text
    )


def code(text):
    """A code span that stands in a table."""
    if text is None:
        return "(absent)"
    text = visible(text).strip() or "⟨white space⟩"
    fence = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return fence + space + text.replace("|", "\\|") + space + fence


def factors(found):
    return " × ".join(found["depends_on"])


def listed(findings):
    """What the findings depend on, each once, in their order."""
    names = list(dict.fromkeys(factors(found) for found in findings))
    return ", ".join(names) or NOTHING


def is_open(found):
    return found["explained_by"] is None


def row(agent, summary):
    run = summary["run"]
    begin = [agent, summary["version"] or NOTHING, run["date"], str(run["cells"])]
    if run["verdict"] == "inconclusive" and not summary["findings"]:
        return begin + [UNKNOWN] * (len(CLASSES) + 1)
    open_ones = [found for found in summary["findings"] if is_open(found)]
    cells = [listed([found for found in open_ones if found["class"] == one]) for one in CLASSES]
    cells.append(listed([found for found in summary["findings"] if not is_open(found)]))
    return [*begin, *cells]


def table(head, rows):
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines) + "\n"


def runs(summary):
    """One sentence a run."""
    sentences = []
    for run in [summary["run"], *summary["also"]]:
        lost = f", {run['lost']} lost" if run["lost"] else ""
        verdict = "too few cells to conclude" if run["verdict"] == "inconclusive" else run["verdict"]
        sentences.append(f"`{run['command']}`: {run['cells']} cells{lost}, {verdict}, {run['date']}.")
    return sentences


def section(agent, note, summary):
    lines = [f"## {agent}", "", f"{code(summary['package'])}. {note['about']}", ""]
    lines += [f"- {sentence}" for sentence in runs(summary)]
    if any(set(other["findings"]) == set(summary["run"]["findings"]) != set() for other in summary["also"]):
        lines += ["- Both engines made the same findings, by their ids."]
    lines.append("")
    rows = []
    for found in summary["findings"]:
        if is_open(found):
            example = f"{code(found['baseline'])} → {code(found['variant'])}"
            rows.append([found["class"], factors(found), str(found["places"]), code(found["where"][0]), example])
    if summary["run"]["verdict"] == "inconclusive" and not summary["findings"]:
        lines += ["Captured, in too few cells to say what depends on what.", ""]
    elif rows:
        lines += [table(["class", "depends on", "places", "first place", "example"], rows)]
    else:
        lines += ["Nothing was found that is not explained.", ""]
    explained = [found for found in summary["findings"] if not is_open(found)]
    if explained:
        reasons = dict.fromkeys(f"{factors(found)} ({found['explained_by']})" for found in explained)
        lines += ["Explained: " + "; ".join(reasons) + ".", ""]
    lines += [f"{text}\n" for text in note.get("looked", [])]
    return "\n".join(lines)


def replace(path, mark, text):
    """Put the text between the marks."""
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    whole = path.read_text(encoding="utf-8")
    before, rest = whole.split(start, 1)
    path.write_text(before + start + text + end + rest.split(end, 1)[1], encoding="utf-8")


def main():
    notes = json.loads((HERE / "notes.json").read_text(encoding="utf-8"))
    summaries = {name: json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")) for name in notes}
    pairs = [(note, summaries[name]) for name, note in notes.items()]
    head = ["agent", "version", "date", "cells", *CLASSES, "explained"]
    rows = [row(note["agent"], summary) for note, summary in pairs]
    replace(ROOT / "docs/gallery.md", "table", table(head, rows))
    sections = "\n".join(section(note["agent"], note, summary) for note, summary in pairs)
    replace(ROOT / "docs/gallery.md", "agents", sections)
    replace(ROOT / "README.md", "gallery", table(head, rows))


if __name__ == "__main__":
    main()
