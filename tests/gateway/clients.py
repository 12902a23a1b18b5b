"""Published clients against a gateway: prints what each of them makes of its answers, as JSON."""

import json
import sys

import anthropic
import ollama
import openai
from google import genai
from google.genai import types

BASE, WHAT = sys.argv[1:3]
SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
GO = {"role": "user", "content": "go"}


def anthropic_turns(client):
    tools = [{"name": "run_shell", "description": "d", "input_schema": SCHEMA}]
    ask = {"model": "m", "max_tokens": 64, "tools": tools}
    with client.messages.stream(messages=[GO], **ask) as stream:
        first = stream.get_final_message()
    call = next(block for block in first.content if block.type == "tool_use")
    assert first.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "x"}
    answer = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]}
    messages = [GO, answer, {"role": "user", "content": [result]}]
    plain = client.messages.create(messages=messages, **ask)
    with client.messages.stream(messages=messages, **ask) as stream:
        said = stream.get_final_text()
    assert plain.content[0].text == said
    return {"called": [call.name, call.input], "said": said}


def openai_chat():
    client = openai.OpenAI(base_url=BASE + "/v1", api_key="dummy", max_retries=0)
    tools = [{"type": "function", "function": {"name": "run_shell", "parameters": SCHEMA}}]
    name, arguments, ident = "", "", ""
    for chunk in client.chat.completions.create(model="m", messages=[GO], tools=tools, stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            ident = call.id or ident
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    call = {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}
    messages = [GO, {"role": "assistant", "content": None, "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": ident, "content": "x"})
    plain = client.chat.completions.create(model="m", messages=messages, tools=tools)
    said = ""
    for chunk in client.chat.completions.create(model="m", messages=messages, tools=tools, stream=True):
        said += chunk.choices[0].delta.content or ""
    assert plain.choices[0].message.content == said
    return {"called": [name, json.loads(arguments)], "said": said}


def openai_responses():
    client = openai.OpenAI(base_url=BASE + "/v1", api_key="dummy", max_retries=0)
    tools = [{"type": "function", "name": "run_shell", "parameters": SCHEMA, "strict": False}]
    with client.responses.stream(model="m", input=[GO], tools=tools) as stream:
        first = stream.get_final_response()
    call = first.output[0]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "x"}
    asked = {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
    messages = [GO, asked, result]
    plain = client.responses.create(model="m", input=messages, tools=tools)
    with client.responses.stream(model="m", input=messages, tools=tools) as stream:
        said = stream.get_final_response().output_text
    assert plain.output_text == said
    return {"called": [call.name, json.loads(call.arguments)], "said": said}


def genai_client():
    return genai.Client(api_key="dummy", http_options=types.HttpOptions(base_url=BASE))


def genai_turns():
    client = genai_client()
    declared = types.FunctionDeclaration(name="run_shell", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    go = types.Content(role="user", parts=[types.Part(text="go")])
    first = client.models.generate_content(model="m", contents=[go], config=config)
    call = first.function_calls[0]
    result = types.Part.from_function_response(name=call.name, response={"output": "x"})
    contents = [go, first.candidates[0].content, types.Content(role="user", parts=[result])]
    said = "".join(
        chunk.text or "" for chunk in client.models.generate_content_stream(model="m", contents=contents, config=config)
    )
    return {"called": [call.name, dict(call.args)], "said": said}


def genai_schema():
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["title", "count"],
    }
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema)
    client = genai_client()
    return json.loads(client.models.generate_content(model="m", contents="go", config=config).text)


def ollama_turns():
    client = ollama.Client(host=BASE)
    tools = [{"type": "function", "function": {"name": "run_shell", "parameters": SCHEMA}}]
    first = client.chat(model="m", messages=[GO], tools=tools)
    call = first.message.tool_calls[0].function
    messages = [GO, first.message.model_dump(exclude_none=True), {"role": "tool", "content": "x"}]
    said = "".join(part.message.content for part in client.chat(model="m", messages=messages, tools=tools, stream=True))
    return {"called": [call.name, dict(call.arguments)], "said": said}


def turns():
    vertex = anthropic.AnthropicVertex(
        access_token="dummy", project_id="p", region="r", base_url=BASE + "/v1", max_retries=0
    )
    bedrock = anthropic.AnthropicBedrock(
        aws_access_key="dummy", aws_secret_key="dummy", aws_region="r", base_url=BASE, max_retries=0
    )
    return {
        "anthropic": anthropic_turns(anthropic.Anthropic(base_url=BASE, api_key="dummy", max_retries=0)),
        "anthropic_vertex": anthropic_turns(vertex),
        "anthropic_bedrock": anthropic_turns(bedrock),
        "openai_chat": openai_chat(),
        "openai_responses": openai_responses(),
        "genai": genai_turns(),
        "genai_schema": genai_schema(),
        "ollama": ollama_turns(),
    }


def status(error, ask):
    """The status with which a client that does not try again fails."""
    try:
        ask()
    except error as failure:
        return getattr(failure, "status_code", None) or failure.code
    return "no failure"


def failure():
    again = anthropic.Anthropic(base_url=BASE, api_key="dummy", max_retries=1)
    said = again.messages.create(model="a", max_tokens=9, messages=[GO]).content[0].text
    chat = openai.OpenAI(base_url=BASE + "/v1", api_key="dummy", max_retries=1)
    once = types.HttpOptions(base_url=BASE)
    gemini = genai.Client(api_key="dummy", http_options=once)
    return {
        "anthropic": said,
        "openai_chat": chat.chat.completions.create(model="b", messages=[GO]).choices[0].message.content,
        "genai": status(genai.errors.APIError, lambda: gemini.models.generate_content(model="c", contents="go")),
        "ollama": status(ollama.ResponseError, lambda: ollama.Client(host=BASE).chat(model="d", messages=[GO])),
    }


print(json.dumps({"turns": turns, "failure": failure}[WHAT]()))
