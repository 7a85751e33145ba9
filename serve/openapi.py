"""/docs from this server's own files, and the OpenAPI schemas of bodies that the routes parse themselves.

It knows nothing about single routes or models.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serve.errors import PLAIN, RESPONSES
from serve.settings import Settings

LIMITS = ("max_body_bytes", "max_rows", "timeout_seconds", "max_in_flight")
COMPONENT = "#/components/schemas/{model}"
KEY_ASKED: dict[int | str, dict[str, Any]] = {401: RESPONSES[401]}
SWAGGER = Path(str(resources.files("fastapi_swagger"))) / "resources"
FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")


def describe_limits(settings: Settings, max_body_bytes: int) -> str:
    """The limits of this server as a Markdown table, and how to send the API key where one is needed.

    `max_body_bytes` is the limit in use, whether it is set or not.
    """
    fields = Settings.model_fields
    values = {**dict(settings), "max_body_bytes": max_body_bytes}
    rows = [f"| `{name.upper()}` | {values[name]:,} | {fields[name].description} |" for name in LIMITS]
    key = "An API key is required: `authorization: Bearer …` or `x-api-key: …`." if settings.api_keys else ""
    return "\n".join(["| limit | here | |", "|---|---|---|", *rows, "", key])


def documented_responses(example: Mapping[str, Any], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that reads a body: a real response as the example, and the errors."""
    return {status: {"content": {"application/json": {"example": example}}}, **RESPONSES}


def schema_ref(model: type[BaseModel]) -> dict[str, str]:
    """A reference to the schema of a model. The model must be among those passed to `publish`."""
    return {"$ref": COMPONENT.format(model=model.__name__)}


def object_schema(properties: dict[str, Any], without: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an object that must have `properties` and may have others, except for the names in `without`."""
    absent = {name: False for name in without if name not in properties}
    return {"type": "object", "properties": {**properties, **absent}, "required": list(properties)}


def examples_body(schema: Mapping[str, Any], examples: Mapping[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route: a required JSON body of this schema, with examples by name."""
    content: dict[str, Any] = {"schema": schema}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def publish(app: FastAPI, models: Iterable[type[BaseModel]]) -> None:
    """Complete FastAPI's specification with the models that bodies refer to, and with the media type of errors.

    FastAPI documents errors with the media type of the successful response. Under /v1 and /v2 errors are plain JSON.
    """
    generate = app.openapi
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=COMPONENT)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema

        api = generate()
        api["components"]["schemas"] |= definitions["$defs"]
        for path, operations in api["paths"].items():
            media_type = "application/json" if path.startswith(PLAIN) else "application/problem+json"
            for operation in operations.values():
                set_error_type(operation["responses"], media_type)
        return api

    app.openapi = openapi  # type: ignore[method-assign]  # because FastAPI documents this way to extend it


def set_error_type(responses: Mapping[str, Any], media_type: str) -> None:
    """Document every error among an operation's responses with this media type. Changes `responses`."""
    for status, response in responses.items():
        if status.startswith(("4", "5")):
            response["content"] = {media_type: next(iter(response["content"].values()))}


def router(app: FastAPI) -> APIRouter:
    """The specification and Swagger UI, from this server's own files: FastAPI's default page loads them from a CDN."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/openapi.json", name="/openapi.json")
    def specification() -> JSONResponse:
        return JSONResponse(app.openapi())

    @routes.get("/docs", name="/docs")
    async def swagger() -> HTMLResponse:
        swagger_page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title=f"{app.title}: API",
            swagger_js_url="docs/files/swagger-ui-bundle.js",
            swagger_css_url="docs/files/swagger-ui.css",
            swagger_favicon_url="docs/files/favicon-32x32.png",
            swagger_ui_parameters={"tryItOutEnabled": True},
        )
        page = with_way_back(bytes(swagger_page.body).decode(), app.title)
        return HTMLResponse(page, headers={"content-security-policy": docs_policy(page)})

    for name in FILES:
        routes.get(f"/docs/files/{name}", name="/docs", response_model=None)(file(SWAGGER / name))
    return routes


def with_way_back(page: str, name: str) -> str:
    """Swagger UI's page with a link to the page at `/`, and in the colours that the browser prefers."""
    dark = "document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches)"
    style = "font: 1rem/1.5 sans-serif; padding: 1rem 20px 0"
    link = f'<nav style="{style}"><a href="./" style="color: inherit">← {name}: the form</a></nav>'
    page = page.replace("<html>", '<html lang="en">', 1)
    return page.replace("<body>", f"<body><script>{dark}</script>{link}", 1)


def docs_policy(page: str) -> str:
    """The Content-Security-Policy of Swagger UI: its own files, its styles, and the scripts that stand in the page."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    return (
        f"default-src 'none'; script-src 'self' {' '.join(hashes)}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def file(path: Path, kind: str | None = None, headers: Mapping[str, str] | None = None) -> Callable[[], Response]:
    """An endpoint that responds with this file; `kind` is its media type, where its name does not say it.

    The endpoint has no parameter, because FastAPI would read one from the query.
    """
    return lambda: WholeFile(path, headers=headers, media_type=kind)


class WholeFile(FileResponse):
    """A file from its first byte to its last, whatever `Range` says: Starlette answers a faulty one with plain text."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)
