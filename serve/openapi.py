"""/docs from this server's own files, and what OpenAPI says of bodies that the routes read by themselves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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


def describe_limits(settings: Settings) -> str:
    """The limits of this very server, as Markdown."""
    fields = Settings.model_fields
    rows = [f"| `{name.upper()}` | {getattr(settings, name):,} | {fields[name].description} |" for name in LIMITS]
    key = "An API key is asked for: `authorization: Bearer …` or `x-api-key: …`." if settings.api_keys else ""
    return "\n".join(["| limit | here | |", "|---|---|---|", *rows, "", key])


def documented_responses(example: Mapping[str, Any], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Of a route that reads a body: a real answer, and the errors."""
    return {status: {"content": {"application/json": {"example": example}}}, **RESPONSES}


def schema_ref(model: type[BaseModel]) -> dict[str, str]:
    """The schema of a model that `publish` is given."""
    return {"$ref": COMPONENT.format(model=model.__name__)}


def object_schema(properties: dict[str, Any], without: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an object that has these and may have others, except for some."""
    absent = {name: False for name in without if name not in properties}
    return {"type": "object", "properties": {**properties, **absent}, "required": list(properties)}


def examples_body(schema: Mapping[str, Any], examples: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON body of that schema, with examples by their names."""
    shown = {"examples": {name: {"value": value} for name, value in examples.items()}} if examples else {}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, **shown}}}}


def publish(app: FastAPI, models: Iterable[type[BaseModel]]) -> None:
    """Complete what FastAPI publishes: the models that bodies refer to, and the media type of errors, which FastAPI
    takes for that of answers. Under /v1 and /v2 errors are plain JSON.
    """
    made = app.openapi
    _, named = models_json_schema([(model, "validation") for model in models], ref_template=COMPONENT)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        api = made()
        api["components"]["schemas"] |= named["$defs"]
        for path, operations in api["paths"].items():
            kind = "application/json" if path.startswith(PLAIN) else "application/problem+json"
            for operation in operations.values():
                for status, answer in operation["responses"].items():
                    if status.startswith(("4", "5")):
                        answer["content"] = {kind: next(iter(answer["content"].values()))}
        return api

    app.openapi = openapi  # type: ignore[method-assign]  # because FastAPI documents this way to extend it


def router(app: FastAPI) -> APIRouter:
    """The specification, and Swagger UI over it, which FastAPI's default page loads from another host."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/openapi.json", name="/openapi.json")
    def specification() -> JSONResponse:
        return JSONResponse(app.openapi())

    @routes.get("/docs", name="/docs")
    async def swagger() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=f"{app.title}: API",
            swagger_js_url="docs/files/swagger-ui-bundle.js",
            swagger_css_url="docs/files/swagger-ui.css",
            swagger_favicon_url="docs/files/favicon-32x32.png",
            swagger_ui_parameters={"tryItOutEnabled": True},
        )

    for name in FILES:
        routes.get(f"/docs/files/{name}", name="/docs", response_model=None)(file(SWAGGER / name))
    return routes


def file(path: Path, kind: str | None = None, headers: Mapping[str, str] | None = None) -> Callable[[], Response]:
    """The function of a route that answers with a file. It takes nothing: a parameter would be one of the query."""
    return lambda: FileResponse(path, headers=headers, media_type=kind)
