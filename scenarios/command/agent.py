#!/usr/bin/env python3
"""A small agent of one's own, as the recipe in ../command.toml runs it: it asks a model that speaks Chat Completions, runs
the commands that the model calls for, and prints what it says at last."""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

rules, style, prompt = pathlib.Path(sys.argv[1]).read_text(), sys.argv[2], sys.argv[3]
base_url = os.environ.get("OPENAI_BASE_URL", "https://api.vendor.example/v1")
system = f"{rules}\nIt is {datetime.datetime.now():%Y-%m-%d %H:%M}. The working folder is {os.getcwd()}.\n"
system += {"short": "Answer in one line.", "long": "Say what you did, step by step."}[style]
schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
run = {"name": "run", "description": "Runs a shell command.", "parameters": schema}
messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]

for _ in range(8):
    body = {"model": "local", "messages": messages, "tools": [{"type": "function", "function": run}]}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        message = json.load(response)["choices"][0]["message"]
    messages.append(message)
    if not message.get("tool_calls"):
        print(message["content"])
        break
    for call in message["tool_calls"]:
        command = json.loads(call["function"]["arguments"])["command"]
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": done.stdout + done.stderr})
